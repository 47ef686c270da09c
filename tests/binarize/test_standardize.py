"""Standardization's analytic gradient, and the fused estimators', against numeric or automatic ones."""
import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.binarize.elementwise import sign, within
from cmim_mm.binarize.standardize import standardize, statistics


def double(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).double().requires_grad_()


@pytest.mark.parametrize('arguments', [{}, {'floor': 0, 'eps': 0.1}, {'floor': 10.0}])
def test_gradient(arguments):
    assert gradcheck(lambda x: standardize(x, **arguments), double(3, 2, 2, 2))


def test_statistics():
    x = (double(3, 4, 2, 2) * 5 + 2).detach()
    v, mean, std = statistics(x)
    torch.testing.assert_close(std, x.std((1, 2, 3), keepdim=True))
    torch.testing.assert_close(v * std + mean, x)
    torch.testing.assert_close(statistics(x, unbiased=False)[2], x.std((1, 2, 3), correction=0, keepdim=True))
    assert standardize(torch.ones(2, 1, 1, 1)).tolist() == [[[[0.0]]]] * 2
    assert standardize((x * 2e3).half()).isfinite().all()


@pytest.mark.parametrize('alpha', [0.3, -2.0, 0.0])
def test_output_scale_gradients(alpha):
    conv = BinaryConv2d(2, 1, 3, binarizer='ReCU')
    conv.binarizer.alpha.data.fill_(alpha)
    x, g = torch.randn(2, 2, 6, 6), torch.randn(2, 1, 4, 4)
    y = F.conv2d(conv.binary_input(x), conv.binary_weight()).detach()
    found = conv(x)
    found.backward(g)
    torch.testing.assert_close(found, alpha * y)
    torch.testing.assert_close(conv.binarizer.alpha.grad, (g * y).sum().view(1, 1, 1))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize('low', [-1, 0])
def test_within_takes_both_ends_in_and_not_their_neighbours(dtype, low):
    ends = torch.tensor([low, 1], dtype=dtype)
    outside = torch.nextafter(ends, torch.tensor([-9, 9], dtype=dtype))
    assert within(torch.ones(2, dtype=dtype), ends, low).tolist() == [1, 1]
    assert within(torch.ones(2, dtype=dtype), outside, low).tolist() == [0, 0]


def test_sign_at_a_threshold():
    x = torch.tensor([0.2, 0.25, 0.3, float('nan')])
    assert sign(x, 0.25).tolist() == sign(x, torch.tensor(0.25)).tolist() == [-1, 1, 1, -1]
    # 0.3 is not a bfloat16: its neighbour below stays below.
    assert sign(torch.tensor([0.2988, 0.3008]).bfloat16(), torch.tensor(0.3)).tolist() == [-1, 1]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_decided_as_in_float32(dtype):
    # Every finite number of the dtype against thresholds on, between and beyond its numbers.
    x = torch.arange(-2**15, 2**15).to(torch.int16).view(dtype)
    x = x[x.isfinite()]
    thresholds = [0.0, -0.0, 0.3, -0.3, 0.5, 1 + 2e-4, -1 - 2e-4, 1e-9, -1e-9, 1e-42, 7e4, -7e4, 3e38, -3e38]
    for threshold in (*thresholds, *x[::997].tolist()):
        expected = torch.where(x.double() >= threshold, 1.0, -1.0).to(dtype)
        assert torch.equal(sign(x, torch.tensor(threshold, dtype=torch.float64)), expected)
        assert torch.equal(sign(x, threshold), expected)
    channels = torch.tensor(thresholds).view(-1, 1)
    assert torch.equal(sign(x.expand(len(thresholds), -1), channels),
                       torch.where(x.float() >= channels, 1.0, -1.0).to(dtype))
