"""Packed layers in ordinary operations give what the packed ones give."""
import pytest
import torch
from exact_networks import images, make_exact
from torch import nn

from cmim_mm.binarize import BINARIZERS, BinaryConv2d
from cmim_mm.deploy.convert import convert
from cmim_mm.deploy.nonlinear import as_nonlinear
from cmim_mm.deploy.packed_conv import PackedConv2d
from cmim_mm.deploy.sign_conv import SignConv2d
from cmim_mm.deploy.simulated import SimulatedConv2d, SimulatedPacked, SimulatedThreshold, simulate
from cmim_mm.models import BinaryResNet
from cmim_mm.models.backbones.blocks import Hardtanh, Maxout, RPReLU

METHODS = sorted(BINARIZERS.module_dict)
GEOMETRIES = {
    'strided': dict(kernel_size=3, stride=(2, 1), padding=(1, 2)),
    'grouped, dilated': dict(kernel_size=(3, 2), dilation=(2, 3), padding=3, groups=3, bias=True),
    'same': dict(kernel_size=(2, 4), padding='same'),
    'reflected': dict(kernel_size=3, padding=1, padding_mode='reflect'),
    'without padding': dict(kernel_size=1, bias=True),
}


@pytest.mark.parametrize('block', ['plain', 'maxout'])
@pytest.mark.parametrize('method', METHODS)
def test_networks_agree_to_the_last_bit(method, block):
    network = make_exact(BinaryResNet(20, binarizer=method, block=block, out_indices=(0, 1)))
    x = images(2, 3, 9, 14)
    with torch.no_grad():
        expected = network(x)
        simulated = simulate(convert(network))
        for one, other in zip(simulated(x), expected):
            assert torch.equal(one, other)
    layers = [m for m in simulated.modules() if isinstance(m, SimulatedConv2d)]
    assert len(layers) == 12 and not any(isinstance(m, SignConv2d) for m in simulated.modules())
    monotone = block == 'plain' and method not in ('AdaBin', 'DoReFa', 'RBNN')
    assert sum(isinstance(m, SimulatedThreshold) for m in layers) == 6 * monotone


@torch.no_grad()
@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('method', METHODS)
def test_any_geometry(method, geometry):
    torch.manual_seed(0)
    conv = BinaryConv2d(6, 12, binarizer=method, **GEOMETRIES[geometry]).eval()
    for parameter in conv.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    packed, x = PackedConv2d(conv).prepare(), torch.randn(2, 6, 7, 10)
    torch.testing.assert_close(SimulatedPacked(packed)(x), packed(x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize('act', [lambda: nn.ReLU6(), lambda: Hardtanh(), lambda: nn.LeakyReLU(0.3),
                                 lambda: nn.PReLU(4), lambda: RPReLU(4), lambda: Maxout(4)])
def test_shortcut_nonlinearity_and_next_bits(act):
    torch.manual_seed(0)
    module = act()
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter))
    packed = PackedConv2d(BinaryConv2d(3, 4, 3, padding=1, binarizer='IRNet'))
    packed.fold_nonlinear(as_nonlinear(module, 4))
    packed.prepare()
    x, shortcut, threshold = torch.randn(2, 3, 5, 6), torch.randn(2, 4, 5, 6), torch.tensor([-1.0, 0, 0.5, 1])
    expected, _ = packed(x, shortcut, threshold)
    y, bits = SimulatedPacked(packed)(x, shortcut, threshold)
    assert torch.equal(y, expected) and torch.equal(bits, expected >= threshold.view(4, 1, 1))
    assert 0.1 < bits.float().mean() < 0.9
