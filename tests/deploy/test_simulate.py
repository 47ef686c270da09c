"""Packed networks in plain operators: the same results, and exporters take them."""
import copy

import pytest
import torch
from exact_networks import images, make_exact
from test_packed_conv import GEOMETRIES, trained

from cmim_mm.deploy.convert import convert
from cmim_mm.deploy.packed_conv import PackedConv2d
from cmim_mm.deploy.simulate import SimulatedConv2d, simulate
from cmim_mm.models import BinaryResNet

BLOCKS = dict(BNN='plain', AdaBin='maxout', DoReFa='plain', ReActNet='react', RBNN='hardtanh')


@pytest.mark.parametrize('method', BLOCKS)
def test_networks_compute_the_same(method):
    packed = convert(make_exact(BinaryResNet(20, binarizer=method, block=BLOCKS[method])))
    x = images(2, 3, 17, 22)
    expected = packed(x)
    found = simulate(copy.deepcopy(packed))
    assert sum(isinstance(m, SimulatedConv2d) for m in found.modules()) == 18
    for one, other in zip(found(x), expected):
        assert torch.equal(one, other)


@pytest.mark.parametrize('geometry', ['groups', 'same', 'reflect', 'stride'])
@pytest.mark.parametrize('method', ['AdaBin', 'RBNN', 'ReCU'])
def test_geometries(method, geometry):
    layer = PackedConv2d(trained(method, **GEOMETRIES[geometry])).prepare()
    x = torch.randn(2, 6, 9, 10)
    torch.testing.assert_close(SimulatedConv2d(layer)(x), layer(x), rtol=1e-4, atol=1e-4)


def test_torch_exports_and_compiles_packed_networks():
    packed = convert(make_exact(BinaryResNet(20, binarizer='BNN', out_indices=(2, ))))
    x = images(1, 3, 16, 16)
    expected, = packed(x)
    assert torch.equal(torch.export.export(packed, (x, )).module()(x)[0], expected)
    assert torch.equal(torch.compile(packed, backend='aot_eager', fullgraph=True)(x)[0], expected)
