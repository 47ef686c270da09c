"""BinaryConv2d as a layer: defaults, errors, and its place in mmcv's and MMEngine's machinery."""
import pytest
import torch
from binarizer_contract import build, inputs
from mmcv.cnn import ConvModule, build_conv_layer
from mmengine.model import BaseModule
from torch import nn

from cmim_mm.binarize import BINARIZERS, BinaryConv2d, ReActNet, get_binarizer
from cmim_mm.registry import MODELS


def test_defaults():
    conv = BinaryConv2d(4, 6, 3)
    assert isinstance(conv, nn.Conv2d) and isinstance(conv.binarizer, ReActNet) and conv.bias is None
    assert conv(torch.randn(1, 4, 5, 5)).shape == (1, 6, 3, 3)


def test_a_dict_passes_arguments_and_stays_as_it_is():
    cfg = {'type': 'IRNet', 't_min': 0.1}
    assert BinaryConv2d(4, 6, 3, binarizer=cfg).binarizer.t_min == 0.1
    assert cfg == {'type': 'IRNet', 't_min': 0.1}


@pytest.mark.parametrize('binarizer', ['IRNEt', {'type': 'nope'}, {'t_min': 0.1}, {}])
def test_an_unknown_name_lists_the_valid_ones(binarizer):
    with pytest.raises(KeyError) as error:
        BinaryConv2d(4, 6, 3, binarizer=binarizer)
    assert all(name in str(error.value) for name in BINARIZERS.module_dict)


def test_bad_arguments_are_named():
    with pytest.raises(TypeError, match='expected a name'):
        BinaryConv2d(4, 6, 3, binarizer=None)
    with pytest.raises(TypeError, match='tmin'):
        BinaryConv2d(4, 6, 3, binarizer={'type': 'IRNet', 'tmin': 1})
    for name in ('IRNet', 'RBNN', 'AdaBin'):
        with pytest.raises(ValueError, match='t_min=10'):
            BinaryConv2d(4, 6, 3, binarizer={'type': name, 't_min': 10, 't_max': 1})
    with pytest.raises(ValueError, match='tau_end=1.5'):
        BinaryConv2d(4, 6, 3, binarizer={'type': 'ReCU', 'tau_end': 1.5})


def test_get_binarizer():
    assert get_binarizer('ReActNet') is get_binarizer({'type': 'ReActNet'}) is ReActNet


def test_zero_padding_adds_nothing():
    conv = BinaryConv2d(1, 1, 3, padding=1, binarizer='BNN')
    conv.weight.data.fill_(1.0)
    corner, edge, inner = 4, 6, 9
    expected = [[corner, edge, corner], [edge, inner, edge], [corner, edge, corner]]
    assert conv(torch.ones(1, 1, 3, 3))[0, 0].tolist() == expected


@pytest.mark.parametrize('name', ['RBNN', 'ReCU'])
def test_learned_output_scale_includes_the_bias(name):
    conv = BinaryConv2d(4, 6, 3, bias=True, binarizer=name)
    torch.testing.assert_close(conv.binarizer.alpha.flatten(), conv.weight.abs().mean((1, 2, 3)))
    x = torch.randn(2, 4, 5, 5)
    expected = nn.functional.conv2d(conv.binary_input(x), conv.binary_weight(), conv.bias)
    torch.testing.assert_close(conv(x), expected * conv.weight.abs().mean((1, 2, 3)).view(6, 1, 1))


@pytest.mark.parametrize('name', ['RBNN', 'ReCU'])
@pytest.mark.parametrize('own, autocast', [
    (torch.float64, None), (torch.float32, None), (torch.bfloat16, None), (torch.float16, None),
    (torch.float32, torch.bfloat16), (torch.float32, torch.float16)])
def test_an_output_scale_of_zero(name, own, autocast):
    conv = build(name, 4, 6, 3, bias=True).to(own)
    with torch.no_grad():
        conv.binarizer.alpha[::2] = 0
    x, g = inputs(2, 4, 7, 7).to(own), inputs(2, 6, 5, 5).double()
    plain = nn.functional.conv2d(conv.binary_input(x).double(), conv.binary_weight().double(),
                                 conv.bias.double())
    with torch.autocast('cpu', autocast, enabled=autocast is not None):
        y = conv(x)
    y.backward(g.to(y.dtype))
    assert not y[:, ::2].any() and y[:, 1::2].all()
    expected = (g * plain).sum((0, 2, 3)).view(6, 1, 1)
    error = (conv.binarizer.alpha.grad.double() - expected).abs().max() / expected.abs().max()
    assert error < (0.02 if autocast or own in (torch.bfloat16, torch.float16) else 1e-5)


def test_in_mmcv_and_mmengine():
    cfg = {'type': 'cmim_mm.BinaryConv2d', 'binarizer': {'type': 'IRNet'}}
    conv = build_conv_layer(cfg, 4, 6, 3, padding=1, dilation=1, groups=2)
    assert isinstance(conv, BinaryConv2d) and conv.groups == 2
    module = ConvModule(4, 6, 3, conv_cfg=cfg, norm_cfg={'type': 'BN'}, act_cfg={'type': 'PReLU'})
    assert isinstance(module.conv, BinaryConv2d) and module.conv.bias is None
    module(torch.randn(2, 4, 5, 5)).sum().backward()
    assert module.conv.weight.grad.isfinite().all()
    assert MODELS.get('cmim_mm.BinaryConv2d') is BinaryConv2d


def test_own_parameters_follow_mmengine_initialization():
    class Net(BaseModule):
        def __init__(self):
            super().__init__(init_cfg={'type': 'Constant', 'layer': 'Conv2d', 'val': -0.25})
            self.conv = BinaryConv2d(4, 6, 3, binarizer='ReCU')

    net = Net()
    net.init_weights()
    assert (net.conv.weight == -0.25).all() and (net.conv.binarizer.alpha == 0.25).all()


def test_meta_device_and_dtype():
    conv = BinaryConv2d(4, 6, 3, binarizer='RBNN', device='meta')
    assert {tensor.device.type for tensor in conv.state_dict().values()} == {'meta'}
    assert BinaryConv2d(4, 6, 3, dtype=torch.float64)(torch.randn(1, 4, 5, 5).double()).dtype == torch.float64


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('bias', [False, True])
def test_sums_that_16_bits_do_not_hold_are_not_rounded(bias, autocast):
    """In 16 bits, evaluation without gradients gives what it gives with them, in the same dtype."""
    torch.manual_seed(0)
    conv, x = BinaryConv2d(256, 8, 3, bias=bias, binarizer='BiReal').eval(), torch.randn(2, 256, 5, 6) + 1
    conv.weight.data += 0.01  # most signs are +1, and sums of them beyond 256
    if not autocast:
        conv, x = conv.bfloat16(), x.bfloat16()
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        expected = conv(x)
        with torch.no_grad():
            found = conv(x)
    assert found.dtype == torch.bfloat16 and torch.equal(found, expected)
