"""Gradients keep the memory format through shortcuts, whatever reads a backbone's maps."""
import pytest
import torch
from torch import nn

from cmim_mm.models.backbones import BinaryResNet
from cmim_mm.models.keep_format import keep_format

LAST = torch.channels_last


@pytest.mark.parametrize('kwargs', [
    dict(depth=20, binarizer='IRNet'), dict(depth=18, binarizer='ReActNet'), dict(depth=18, binarizer=None),
    dict(depth=18, binarizer='AdaBin', block='plain', downsample='pool_pad')])
def test_gradients_have_the_channels_last_behind_a_pooling(kwargs):
    network, seen = BinaryResNet(**kwargs), []
    network.to(memory_format=LAST)

    def look(module, grad_inputs, grad_outputs):
        seen.append(grad_outputs[0].is_contiguous(memory_format=LAST))

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_full_backward_hook(look)
    maps = network(torch.randn(2, 3, 64, 64).contiguous(memory_format=LAST))
    sum(x.mean((2, 3)).square().sum() for x in maps).backward()
    assert len(seen) > 15 and all(seen)


@pytest.mark.parametrize('x_format', [LAST, torch.contiguous_format])
def test_values_and_gradients_stay(x_format):
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=x_format).requires_grad_()
    g = torch.randn(2, 3, 4, 5)
    y = keep_format(x)
    y.backward(g)
    assert torch.equal(y, x) and torch.equal(x.grad, g)
    assert x.grad.is_contiguous(memory_format=x_format)
