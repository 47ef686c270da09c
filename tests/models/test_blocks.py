"""ReActNet's block against its reference implementation; activations; shortcuts."""
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.models.backbones.blocks import BLOCKS, Hardtanh, Maxout, MaxPool2d, ReActBlock, RPReLU
from cmim_mm.models.backbones.shortcuts import full_shortcut

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
#: Prefix of a reference name -> ours; all others are the same.
RENAMED = {
    'move0.bias': 'conv1.binarizer.shift', 'binary_conv.': 'conv1.', 'move1.bias': 'nonlinear.shift_in',
    'prelu.': 'nonlinear.prelu.', 'move2.bias': 'nonlinear.shift_out',
}


def ours(name):
    for prefix, new in RENAMED.items():
        if name.startswith(prefix):
            return name.replace(prefix, new)
    return name


def assert_close(actual, expected, what):
    assert actual.shape == expected.shape, what
    error = (actual - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    assert error <= 1e-5, f'{what}: relative error {error:.2e}'


@pytest.mark.parametrize('stride', [1, 2])
def test_react_block_matches_the_reference(stride):
    with np.load(GOLDEN / f'reactnet_block_stride{stride}.npz') as arrays:
        data = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    conv = partial(BinaryConv2d, binarizer='ReActNet')
    channels = data['state.binary_conv.weight'].shape[0]
    shortcut = full_shortcut(16, channels, stride, nn.Conv2d, dict(type='BN')) if stride > 1 else None
    block = ReActBlock(16, channels, conv, dict(type='BN'), stride=stride, shortcut=shortcut)
    state = {ours(key[len('state.'):]): value for key, value in data.items() if key.startswith('state.')}
    missing, unexpected = block.load_state_dict(state, strict=False)
    assert missing == ['conv1.binarizer.progress'] and not unexpected
    x = data['input'].requires_grad_()
    output = block(x)
    output.backward(data['grad_output'])
    assert_close(output, data['output'], 'output')
    assert_close(x.grad, data['grad_input'], 'gradient of the input')
    parameters = dict(block.named_parameters())
    gradients = {ours(key[len('grad.'):]): value for key, value in data.items() if key.startswith('grad.')}
    assert gradients.keys() == parameters.keys()
    for name, gradient in gradients.items():
        assert_close(parameters[name].grad, gradient, name)


def test_rprelu_and_maxout_by_hand():
    x = torch.tensor([-2.0, 3.0]).view(1, 1, 1, 2)
    rprelu = RPReLU(1)
    rprelu.shift_in.data.fill_(1.0)
    rprelu.shift_out.data.fill_(0.5)
    assert rprelu(x).flatten().tolist() == [-0.25 + 0.5, 4.5]
    maxout = Maxout(1)
    maxout.gamma_pos.data.fill_(2.0)
    maxout.gamma_neg.data.fill_(3.0)
    assert maxout(x).flatten().tolist() == [-6.0, 6.0]


@pytest.mark.parametrize('name', BLOCKS)
@pytest.mark.parametrize('size', [(8, 8), (7, 5), (1, 2)])
def test_odd_sizes_round_up(name, size):
    conv = partial(BinaryConv2d, binarizer='BiReal')
    shortcut = full_shortcut(4, 6, 2, nn.Conv2d, dict(type='BN'))
    block = BLOCKS[name](4, 6, conv, dict(type='BN'), stride=2, shortcut=shortcut).eval()
    y = block(torch.randn(2, 4, *size))
    assert y.shape == (2, 6, (size[0] + 1) // 2, (size[1] + 1) // 2)


def test_odd_pool_averages_what_is_there():
    pool = full_shortcut(1, 1, 2, nn.Conv2d, dict(type='BN'))[0]
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert pool(x).flatten().tolist() == [2.0, 3.5, 6.5, 8.0]


def test_fused_nonlinearities_have_the_gradients_of_their_formulas():
    x = torch.tensor([-2.0, -1.0, -0.3, 0.0, 0.4, 1.0, 3.0]).view(1, 1, 1, 7).repeat(2, 3, 1, 1)
    maxout = Maxout(3)
    pos, neg = maxout.gamma_pos, maxout.gamma_neg
    rprelu = RPReLU(3)
    for i, parameter in enumerate(rprelu.parameters()):
        nn.init.uniform_(parameter, 0.1 * i, 0.1 * i + 0.5)
    shift_in, slope, shift_out = rprelu.shift_in, rprelu.prelu.weight, rprelu.shift_out
    pairs = [(Hardtanh(), lambda x: nn.functional.hardtanh(x), []),
             (rprelu, lambda x: nn.functional.prelu(x + shift_in, slope) + shift_out,
              [shift_in, slope, shift_out]),
             (maxout, lambda x: pos * x.relu() - neg * (-x).relu(), [pos, neg])]
    for layer, formula, parameters in pairs:
        x.requires_grad_()
        g = torch.randn(x.shape)
        found, expected = layer(x), formula(x)
        torch.testing.assert_close(found, expected)
        for pair in zip(*(torch.autograd.grad(y, [x, *parameters], g) for y in (found, expected))):
            torch.testing.assert_close(*pair)


@pytest.mark.parametrize('layer', [Hardtanh(), Maxout(3), RPReLU(3)], ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_nonlinearities_stay_in_half_precision(layer, dtype):
    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    exact = x.detach().float().requires_grad_()
    y, expected = layer(x), layer(exact)
    assert y.dtype == dtype
    g = torch.linspace(-1, 1, x.numel()).view_as(x)
    parameters = list(layer.parameters())
    found, wanted = torch.autograd.grad(y, [x, *parameters], g.to(dtype)), torch.autograd.grad(
        expected, [exact, *parameters], g)
    assert all(grad.dtype == torch.float32 for grad in found[1:])
    for half, full in zip((y, *found), (expected, *wanted)):
        torch.testing.assert_close(half.float(), full, rtol=0.02, atol=0.02)


@pytest.mark.parametrize('arguments', [
    dict(kernel_size=3, stride=2, padding=1), dict(kernel_size=2, ceil_mode=True)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_max_pool_keeps_its_input_alone(arguments, dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(4, (2, 3, 9, 7), generator=generator).to(dtype).requires_grad_()  # with equal maxima
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = MaxPool2d(**arguments)(x)
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]
    expected = nn.MaxPool2d(**arguments)(x)
    assert torch.equal(y, expected)
    g = torch.randn(y.shape, generator=generator).to(dtype)
    assert torch.equal(*(torch.autograd.grad(out, x, g)[0] for out in (y, expected)))
