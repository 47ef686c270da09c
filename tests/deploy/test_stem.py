"""Stems: the operator against torch's convolution and pool, and where networks take it."""
import math

import pytest
import torch
from exact_networks import images, make_exact
from mmengine.model import BaseModule
from torch import nn
from torch.nn import functional as F

from cmim_mm.deploy import ops
from cmim_mm.deploy.bfloat16 import to_bfloat16, to_int8
from cmim_mm.deploy.convert import convert
from cmim_mm.deploy.fuse import fuse
from cmim_mm.deploy.stem import StemConv2d, is_stem
from cmim_mm.models import BinaryResNet


def operands(channels=3, outputs=65, size=(13, 21), window=(7, 7)):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(outputs, channels, *window, generator=generator)
    return (torch.randn(2, channels, *size, generator=generator),
            weight / math.sqrt(channels * math.prod(window)), torch.randn(outputs, generator=generator))


GEOMETRIES = [
    (dict(), dict(stride=2, padding=3), (3, 2, 1)),
    (dict(channels=1, outputs=5, window=(3, 5)), dict(stride=(1, 3), padding=(0, 2)), (2, 2, 0)),
    (dict(channels=4, outputs=16, window=(1, 2)), dict(), (1, 1, 0)),
    (dict(size=(2, 1), window=(3, 3)), dict(padding=1), ((1, 2), (2, 1), (0, 1)))]


@pytest.mark.parametrize('sizes, geometry, pool', GEOMETRIES)
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_is_convolution_and_pool(sizes, geometry, pool, layout, kernel):
    x, weight, bias = operands(**sizes)
    x = x.contiguous(memory_format=layout)
    expected = F.max_pool2d(F.conv2d(x.double(), weight.double(), bias.double(), **geometry), *pool)
    options = dict(geometry, pool=pool[0], pool_stride=pool[1], pool_padding=pool[2])
    found = ops.stem_conv2d(x, weight, bias, **options)
    assert found.dtype == torch.float32 and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    without = ops.stem_conv2d(x, weight, None, **options)
    torch.testing.assert_close(without + bias.view(-1, 1, 1), found, atol=1e-5, rtol=0)
    affine = torch.stack([bias.flip(0), bias])
    scaled = affine[0].double().view(-1, 1, 1) * F.conv2d(x.double(), weight.double(), **geometry)
    expected = F.max_pool2d(scaled + bias.double().view(-1, 1, 1), *pool)
    found = ops.stem_conv2d(x, weight, None, **options, affine=affine)
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=0)
    largest = F.max_pool2d(F.conv2d(x.double(), weight.double(), **geometry), *pool)
    expected = affine[0].double().view(-1, 1, 1) * largest + bias.double().view(-1, 1, 1)
    found = ops.stem_conv2d(x, weight, None, **options, affine=affine, pool_first=True)
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize('x_dtype', [torch.float32, torch.bfloat16])
def test_bfloat16_rounds_operands_and_result(x_dtype, kernel):
    x, weight, bias = (t.bfloat16() if i else t.to(x_dtype) for i, t in enumerate(operands()))
    exact = F.max_pool2d(F.conv2d(x.bfloat16().double(), weight.double(), bias.double(), 2, 3), 3, 2, 1)
    found = ops.stem_conv2d(x, weight, bias, 2, 3, 3, 2, 1)
    assert found.dtype == torch.bfloat16
    # Half a unit in the last place, and what sums in float32 may move it by.
    assert ((found.double() - exact).abs() <= 2**-8 * exact.abs() + 2**-8).all()


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('x_dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('pool_first', [False, True])
def test_int8_sums_whole_numbers(layout, x_dtype, pool_first, kernel):
    x, weight, bias = operands(size=(29, 31))
    x[1] *= 100  # each image has a size of its own
    x = x.to(x_dtype, memory_format=layout)
    weight = (weight * 300).round().clamp(-127, 127).to(torch.int8)
    affine = torch.stack([bias.flip(0), bias])
    most = x.float().abs().amax((1, 2, 3), keepdim=True)
    levels = torch.full_like(most, 127) / most
    y = F.conv2d((x.float() * levels).round().double(), weight.double(), stride=2, padding=3) / levels
    gain, shift = affine.double().view(2, -1, 1, 1)
    behind, before = gain * F.max_pool2d(y, 3, 2, 1) + shift, F.max_pool2d(gain * y + shift, 3, 2, 1)
    expected = behind if pool_first else before
    found = ops.stem_conv2d(x, weight, None, 2, 3, 3, 2, 1, affine, pool_first)
    assert found.dtype == torch.bfloat16 and weight.abs().max() > 100
    assert ((found.double() - expected).abs() <= 2**-8 * expected.abs() + 1e-3).all()
    in_torch = torch.ops.cmim_mm.torch_stem_conv2d(
        x, weight, None, (2, 2), (3, 3), (3, 3), (2, 2), (1, 1), affine, pool_first)
    assert torch.equal(found, in_torch)  # to the last bit


def test_int8_of_black_images_and_of_nan(kernel):
    x, weight, bias = torch.zeros(2, 3, 8, 8), torch.ones(4, 3, 3, 3, dtype=torch.int8), torch.arange(4.0)
    x[1, 0, 4, 4] = math.nan
    found = ops.stem_conv2d(x, weight, affine=torch.stack([torch.ones(4), bias]))
    assert torch.equal(found[0].float(), bias.view(-1, 1, 1).expand(4, 6, 6)) and found[1].isnan().all()


def test_a_quantized_stem_is_near_the_trained_one():
    torch.manual_seed(0)
    network = BinaryResNet(18, binarizer='ReActNet', stem='imagenet_linear', out_indices=(0, )).eval()
    network.bn1.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network.bn1(network.maxpool(network.conv1(x)))
        found = to_int8(convert(network)).conv1(x)
    assert found.dtype == torch.bfloat16 and 0 < (found - expected).abs().mean() < 0.02 * expected.std()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_nan_reaches_the_windows_that_hold_it_alone(dtype, kernel):
    x, weight, bias = operands(window=(1, 3))
    x[1, 0, 6, 8] = math.nan
    expected = F.max_pool2d(F.conv2d(x, weight, bias), 3, 2, 1).isnan()
    found = ops.stem_conv2d(x, weight.to(dtype), bias.to(dtype), pool=3, pool_stride=2, pool_padding=1)
    assert torch.equal(found.isnan(), expected) and expected.any() and not expected.all()


def test_threads_share_rows(kernel):
    x, weight, bias = operands(size=(90, 120))
    torch.set_num_threads(1)
    alone = ops.stem_conv2d(x, weight, bias, 2, 3, 3, 2, 1)
    torch.set_num_threads(3)
    try:
        torch.testing.assert_close(ops.stem_conv2d(x, weight, bias, 2, 3, 3, 2, 1), alone, atol=1e-5, rtol=0)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize('stem', ['imagenet', 'imagenet_pool_last', 'imagenet_linear'])
@pytest.mark.parametrize('block', ['hardtanh', 'bireal'])
def test_networks_take_it(stem, block):
    network = make_exact(BinaryResNet(20, binarizer='IRNet', block=block, stem=stem))
    expected, keys = network(images(1, 3, 30, 45)), network.state_dict().keys()
    packed = convert(network)
    assert type(packed.conv1) is StemConv2d and not hasattr(packed, 'maxpool')
    assert all(torch.equal(*maps) for maps in zip(packed(images(1, 3, 30, 45)), expected))
    assert packed.conv1.state_dict().keys() == {'weight', 'affine'} and 'conv1.weight' in keys


def test_cifar_stems_stay():
    packed = convert(BinaryResNet(20, binarizer='IRNet', stem='cifar'))
    assert not any(isinstance(module, StemConv2d) for module in packed.modules())


def test_a_convolution_that_is_called_twice_stays():
    class Twice(BaseModule):
        def __init__(self):
            super().__init__()
            self.conv, self.pool = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)

        def forward(self, x):
            return self.pool(self.conv(x)), self.conv(x)

    network, x = Twice().eval(), operands()[0]
    expected = network(x)
    for one, other in zip(fuse(network)(x), expected):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize('conv, pool', [
    (nn.Conv2d(8, 4, 3), nn.MaxPool2d(2)), (nn.Conv2d(3, 4, 3, dilation=2), nn.MaxPool2d(2)),
    (nn.Conv2d(3, 3, 3, groups=3), nn.MaxPool2d(2)), (nn.Conv2d(3, 4, 3, padding='same'), nn.MaxPool2d(2)),
    (nn.Conv2d(3, 4, 3, padding=1, padding_mode='reflect'), nn.MaxPool2d(2)),
    (nn.Conv2d(3, 4, 3), nn.AvgPool2d(2)), (nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, dilation=2)),
    (nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, ceil_mode=True)),
    (nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, return_indices=True))])
def test_what_no_stem_is(conv, pool):
    assert is_stem(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)) and not is_stem(conv, pool)


def test_compilers_and_other_types_get_torchs():
    conv, pool = nn.Conv2d(3, 8, 7, 2, 3, bias=False).requires_grad_(False), nn.MaxPool2d(3, 2, 1)
    norm = nn.BatchNorm2d(8).requires_grad_(False)
    norm.running_mean.normal_()
    stem = StemConv2d(conv, norm.eval(), pool)
    x = operands()[0]
    exported = torch.export.export(stem, (x, ))
    assert not any('cmim_mm' in str(node.target) for node in exported.graph.nodes)
    torch.testing.assert_close(exported.module()(x), stem(x), atol=1e-5, rtol=0)
    for dtype in (torch.float64, torch.float16):
        torch.testing.assert_close(stem(x.to(dtype)), stem(x.to(dtype).float()), atol=1e-5, rtol=0)
    assert to_bfloat16(stem)(x).dtype == torch.bfloat16
