"""Full-precision convolutions of a packed model: torch's results, in channels_last memory."""
import pytest
import torch
from torch import nn

from cmim_mm.deploy.dense import DenseConv2d, dense
from cmim_mm.models.heads.seg_heads import PartConv2d


@pytest.mark.parametrize('arguments', [
    dict(kernel_size=1), dict(kernel_size=1, bias=False, groups=2), dict(kernel_size=3, padding=1, stride=2),
    dict(kernel_size=(3, 1), padding=(2, 0), dilation=2), dict(kernel_size=3, groups=4)])
@pytest.mark.parametrize('there', [True, False])
def test_results_are_torchs(arguments, there, monkeypatch):
    torch.manual_seed(0)
    conv, x = nn.Conv2d(4, 8, **arguments).eval().requires_grad_(False), torch.randn(2, 4, 9, 11)
    keys = conv.state_dict().keys()
    expected, found = conv(x), dense(conv)
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: there)
    torch.testing.assert_close(found(x), expected)
    assert type(found) is DenseConv2d and found.state_dict().keys() == keys
    assert found(x).is_contiguous(memory_format=torch.channels_last)


def test_parts_of_a_fusion():
    conv, x = PartConv2d(6, 8, 1, bias=False).requires_grad_(False), torch.randn(1, 2, 4, 5)
    torch.testing.assert_close(dense(conv)(x, 3), conv(x, 3))


@pytest.mark.parametrize('conv', [
    nn.Conv2d(2, 2, 3, padding='same'), nn.Conv2d(2, 2, 3, padding=1, padding_mode='reflect'),
    nn.ConvTranspose2d(2, 2, 2), type('Standardizing', (nn.Conv2d, ), {})(2, 2, 1)])
def test_other_convolutions_stay(conv):
    assert dense(conv) is conv
