"""A packed convolution against the trained one: integers equal, outputs equal to rounding."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cmim_mm.binarize import BINARIZERS, BinaryConv2d
from cmim_mm.deploy.nonlinear import as_nonlinear
from cmim_mm.deploy.packed_conv import PackedConv2d
from cmim_mm.models.backbones.blocks import Hardtanh, Maxout, RPReLU

METHODS = sorted(BINARIZERS.module_dict)
GEOMETRIES = {
    '3x3': dict(kernel_size=3, padding=1),
    'stride': dict(kernel_size=3, stride=(2, 1), padding=(1, 2)),
    'dilation': dict(kernel_size=(3, 2), dilation=(4, 3), padding=4),
    'no padding': dict(kernel_size=3),
    'pointwise': dict(kernel_size=1, bias=True),
    'groups': dict(kernel_size=3, padding=1, groups=3, bias=True),
    'depthwise': dict(kernel_size=3, padding=1, groups=6),
    'same': dict(kernel_size=(2, 4), dilation=(1, 3), padding='same', bias=True),
    'valid': dict(kernel_size=3, padding='valid'),
    'reflect': dict(kernel_size=3, padding=1, padding_mode='reflect'),
    'replicate': dict(kernel_size=3, padding=2, stride=2, padding_mode='replicate'),
    'circular': dict(kernel_size=(3, 2), padding='same', padding_mode='circular'),
}


def trained(method, channels=6, outputs=12, seed=0, **geometry) -> BinaryConv2d:
    """A layer whose every parameter was moved away from its start."""
    torch.manual_seed(seed)
    conv = BinaryConv2d(channels, outputs, binarizer=method, **geometry)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return conv.eval()


def two_signs(binary, middle):
    """-1 and +1 for the lower and the upper of two values."""
    return torch.where(binary >= torch.as_tensor(middle), 1.0, -1.0)


@torch.no_grad()
def accumulators(conv, x):
    """The sum of signs that the trained layer's own operands stand for."""
    plain = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding,
                      conv.dilation, conv.groups, False, conv.padding_mode)
    plain.weight.copy_(two_signs(conv.binary_weight(), conv.weight_form().offset))
    return plain(two_signs(conv.binary_input(x), conv.activation_form(x).offset))


@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('method', METHODS)
def test_integers_are_equal_and_outputs_to_rounding(method, geometry):
    conv = trained(method, **GEOMETRIES[geometry])
    packed = PackedConv2d(conv).prepare()
    for height, width in ((9, 10), (11, 5)):
        x = torch.randn(2, 6, height, width) + 0.2
        x[:, :, ::3] = 0  # ties
        with torch.no_grad():
            expected = conv(x)
        assert torch.equal(packed.accumulate(x), accumulators(conv, x).int())
        torch.testing.assert_close(packed(x), expected, rtol=1e-4, atol=1e-4)


def test_ties_at_the_threshold_are_plus_one():
    conv = trained('ReActNet', kernel_size=1)
    x = -conv.binarizer.shift.detach().expand(1, 6, 2, 2)
    below = torch.nextafter(x, torch.tensor(-9.0))
    assert torch.equal(PackedConv2d(conv).prepare().accumulate(x), accumulators(conv, x).int())
    assert torch.equal(PackedConv2d(conv).prepare().accumulate(below), -accumulators(conv, x).int())


ACTS = {'Identity': nn.Identity, 'ReLU': nn.ReLU, 'Hardtanh': Hardtanh, 'ReLU6': nn.ReLU6,
        'LeakyReLU': lambda: nn.LeakyReLU(0.3), 'PReLU': lambda: nn.PReLU(12), 'one slope': nn.PReLU,
        'RPReLU': lambda: RPReLU(12), 'Maxout': lambda: Maxout(12)}


@pytest.mark.parametrize('act', ACTS)
@pytest.mark.parametrize('method', ['AdaBin', 'DoReFa', 'ReCU'])
def test_norm_shortcut_and_nonlinearity_are_taken_in(method, act):
    conv = trained(method, kernel_size=2, padding='same')
    torch.manual_seed(1)
    norm, module = nn.BatchNorm2d(12).eval(), ACTS[act]()
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, *module.parameters()):
            tensor.add_(torch.randn_like(tensor))
        norm.weight[:2] = torch.tensor([0.0, -1.0])
        norm.running_var.uniform_(0.5, 2)
        x, shortcut = torch.randn(2, 6, 5, 7), torch.randn(2, 12, 5, 7)
        expected = module(norm(conv(x)) + shortcut)
        packed = PackedConv2d(conv).prepare()
        assert packed.fold_norm(norm)
        packed.fold_nonlinear(as_nonlinear(module, 12))
        packed.prepare()
        y, bits = packed(x, shortcut, torch.linspace(-1, 1, 12))
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    follower = trained('BNN', channels=12, outputs=4, kernel_size=1)
    follower = PackedConv2d(follower).prepare()
    assert torch.equal(follower(bits), follower(y - torch.linspace(-1, 1, 12).view(-1, 1, 1)))


def test_other_layers_are_not_taken_in():
    packed = PackedConv2d(trained('BNN', kernel_size=1))
    assert not packed.fold_norm(nn.GroupNorm(3, 12)) and not packed.fold_norm(nn.InstanceNorm2d(12))
    assert not packed.fold_norm(nn.BatchNorm2d(12, track_running_stats=False))
    assert as_nonlinear(nn.GELU(), 12) is None


def test_real_weights_are_refused():
    conv = BinaryConv2d(3, 4, 3, binarizer=dict(type='ReActNet', real_weights=True))
    with pytest.raises(ValueError, match='not 1-bit.*train the second step'):
        PackedConv2d(conv)


def test_the_state_is_small_and_enough():
    """Loaded into a layer that was built alike, the state gives the same outputs."""
    for method in METHODS:
        same = dict(kernel_size=3, padding=1)
        conv = trained(method, 64, 64, **same)
        packed, other = (PackedConv2d(conv).prepare() for conv in (conv, trained(method, 64, 64, 1, **same)))
        x = torch.randn(1, 64, 5, 5)
        assert not torch.equal(packed(x), other(x))
        other.load_state_dict(packed.state_dict())
        assert torch.equal(other.prepare()(x), packed(x)), method
        size = sum(tensor.nbytes for tensor in packed.state_dict().values())
        assert size <= conv.weight.numel() / 8 + 4 * (4 * 64 + 1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_shape(data):
    pick = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    groups = pick(1, 3)
    kernel, dilation = (pick(1, 3), pick(1, 3)), (pick(1, 3), pick(1, 3))
    padding = (pick(0, 3), pick(0, 3))
    size = [max(1, d * (k - 1) + 1 - 2 * p) + pick(0, 5) for k, d, p in zip(kernel, dilation, padding)]
    conv = trained(METHODS[pick(0, len(METHODS) - 1)], groups * pick(1, 40), groups * pick(1, 20), pick(0, 9),
                   kernel_size=kernel, stride=(pick(1, 3), pick(1, 3)), padding=padding, dilation=dilation,
                   groups=groups, bias=data.draw(st.booleans()))
    x = torch.randn(pick(1, 2), conv.in_channels, *size)
    packed = PackedConv2d(conv).prepare()
    assert torch.equal(packed.accumulate(x), accumulators(conv, x).int())
    with torch.no_grad():
        torch.testing.assert_close(packed(x), conv(x), rtol=1e-3, atol=1e-3)


def test_zero_padding_adds_nothing():
    """Neither -1 nor +1: a filter over one pixel has one tap inside."""
    packed = PackedConv2d(trained('BNN', 1, 12, kernel_size=3, padding=1)).prepare()
    assert (packed.accumulate(torch.ones(1, 1, 1, 1)).abs() == 1).all()
