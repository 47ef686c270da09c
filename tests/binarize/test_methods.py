"""The methods that have no golden file, against their equations written out for single numbers."""
import math

import pytest
import torch

from cmim_mm.binarize import BinaryConv2d, set_progress


def leaf(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return (scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).requires_grad_()


def make(name: str, weight: torch.Tensor) -> BinaryConv2d:
    out_channels, in_channels, kernel, _ = weight.shape
    conv = BinaryConv2d(in_channels, out_channels, kernel, binarizer=name)
    conv.weight.data.copy_(weight)
    return conv


def weight_gradient(conv: BinaryConv2d, g: torch.Tensor) -> torch.Tensor:
    conv.binary_weight().backward(g)
    return conv.weight.grad


def test_bnn():
    w, g = leaf(3, 2, 3, 3).detach(), leaf(3, 2, 3, 3, seed=1).detach()
    conv = make('BNN', w)
    assert torch.equal(conv.binary_weight(), w.sign())
    assert torch.equal(weight_gradient(conv, g), g * (w.abs() <= 1))


def test_bireal_weight_gradient_passes_the_scale_by():
    w, g = leaf(3, 2, 3, 3).detach(), leaf(3, 2, 3, 3, seed=1).detach()
    conv = make('BiReal', w)
    scale = torch.stack([filter_.abs().mean() for filter_ in w]).view(3, 1, 1, 1)
    torch.testing.assert_close(conv.binary_weight(), scale * w.sign())
    assert torch.equal(weight_gradient(conv, g), g * (w.abs() <= 1))


def test_dorefa_has_one_scale_and_an_identity_gradient():
    w, g = leaf(3, 2, 3, 3).detach(), leaf(3, 2, 3, 3, seed=1).detach()
    conv = make('DoReFa', w)
    torch.testing.assert_close(conv.binary_weight(), w.abs().mean() * w.sign())
    assert torch.equal(weight_gradient(conv, g), g)
    x = torch.tensor([-1.0, -1e-6, 0.0, 0.4999, 0.5, 1.0, 1.0001]).view(1, 1, 1, 7).requires_grad_()
    y = make('DoReFa', torch.ones(1, 1, 1, 1)).binary_input(x)
    y.sum().backward()
    assert y.flatten().tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert x.grad.flatten().tolist() == [0, 0, 1, 1, 1, 1, 0]


def test_xnornet_centres_clamps_and_scales():
    w, g = leaf(3, 4, 3, 3, scale=1.5).detach(), leaf(3, 4, 3, 3, seed=1).detach()
    conv = make('XNORNet', w)
    expected, expected_grad = torch.empty_like(w), torch.empty_like(w)
    for o in range(3):
        centred = torch.empty(4, 3, 3)
        for i in range(4):
            centred[i] = (w[o, i] - w[o].sum(0) / 4).clamp(-1, 1)
        alpha = centred.abs().sum() / 36
        expected[o] = alpha * centred.sign()
        expected_grad[o] = g[o] * (alpha * (centred.abs() < 1) + 1 / 36)
    torch.testing.assert_close(conv.binary_weight(), expected)
    torch.testing.assert_close(weight_gradient(conv, g), expected_grad)


def test_xnornet_does_not_centre_a_single_input_channel():
    w = leaf(4, 1, 3, 3).detach()
    conv = BinaryConv2d(4, 4, 3, groups=4, binarizer='XNORNet')
    conv.weight.data.copy_(w)
    assert torch.equal(conv.binary_weight().sign(), w.sign())


@pytest.mark.parametrize('alpha', [0.8, -0.8])
def test_adabin_activation_values(alpha):
    conv = make('AdaBin', leaf(3, 2, 3, 3).detach())
    conv.binarizer.alpha_a.data.fill_(alpha)
    conv.binarizer.beta_a.data.fill_(0.25)
    values = conv.binary_input(torch.tensor([-1.0, 0.2, 0.25, 0.3, 2.0]).view(1, 1, 1, 5)).flatten()
    low, high = -0.8 + 0.25 * alpha, 0.8 + 0.25 * alpha
    torch.testing.assert_close(values, torch.tensor([low, low, high, high, high]))


def test_irnet_scale_is_a_power_of_two():
    scale = make('IRNet', leaf(5, 4, 3, 3).detach()).weight_form().scale
    assert all(math.log2(value).is_integer() for value in scale.flatten().tolist())


@pytest.mark.parametrize('name', ['IRNet', 'RBNN', 'ReCU', 'AdaBin'])
def test_progress_changes_the_gradient_and_not_the_output(name):
    conv, x, found = make(name, leaf(3, 4, 3, 3).detach()), leaf(2, 4, 6, 6, seed=2), []
    for progress in (0.0, 1.0):
        set_progress(conv, progress)
        conv.zero_grad()
        y = conv(x)
        y.square().sum().backward()
        found.append((y.detach(), conv.weight.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.allclose(found[0][1], found[1][1])
