"""Joined layers: the packed network computes what the trained one does, to the last bit."""
from copy import deepcopy

import pytest
import torch
from exact_networks import images, make_exact
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import nn

from cmim_mm.binarize import BINARIZERS, BinaryConv2d
from cmim_mm.checkpoint import CheckpointError
from cmim_mm.deploy.convert import convert
from cmim_mm.deploy.fuse import fuse
from cmim_mm.deploy.kernel import available_kernels
from cmim_mm.deploy.packed_conv import PackedConv2d
from cmim_mm.deploy.sign_conv import SignConv2d
from cmim_mm.deploy.threshold_conv import ThresholdConv2d, find_limit
from cmim_mm.models import BinaryMobileNet, BinaryResNet, BinaryVGG
from cmim_mm.models.backbones.blocks import BLOCKS
from cmim_mm.models.backbones.shortcuts import DOWNSAMPLES

METHODS = sorted(BINARIZERS.module_dict)


@torch.no_grad()
def check_exact(network, x):
    """Equal maps, for a network of ``make_exact``; returns the packed one."""
    expected = network(x)
    packed = convert(network)
    found = packed(x)
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert torch.equal(one, other), (one != other).float().mean()
    assert len(torch.unique(expected[-1])) > 3
    return packed


@pytest.mark.parametrize('block', BLOCKS)
@pytest.mark.parametrize('method', METHODS)
def test_every_method_in_every_block(method, block):
    network = make_exact(BinaryResNet(20, binarizer=method, block=block))
    packed = check_exact(network, images(2, 3, 17, 22))
    layers = [m for m in packed.modules() if isinstance(m, SignConv2d)]
    assert len(layers) == 18 and not any(isinstance(m, nn.BatchNorm2d) for m in layers[0].modules())


@pytest.mark.parametrize('method', ['BNN', 'AdaBin', 'ReActNet'])
def test_bottlenecks(method):
    check_exact(make_exact(BinaryResNet(50, binarizer=method, out_indices=(0, 1))), images(1, 3, 24, 36))


@pytest.mark.parametrize('downsample', DOWNSAMPLES)
def test_shortcuts(downsample):
    network = BinaryResNet(20, binarizer='ReActNet', downsample=downsample, output_stride=2)
    packed = check_exact(make_exact(network), images(1, 3, 19, 21))
    assert sum(isinstance(m, SignConv2d) for m in packed.modules()) == 18 + 2 * ('binary' in downsample)


@pytest.mark.parametrize('stem', ['imagenet', 'imagenet_pool_last', 'imagenet_linear', 'cifar_linear'])
def test_stems(stem):
    check_exact(make_exact(BinaryResNet(20, binarizer='IRNet', stem=stem)), images(1, 3, 30, 45))


#: Methods whose filters and activations have no offset: each step is rounded as in the trained network.
WITHOUT_OFFSET = ['BNN', 'BiReal', 'IRNet', 'RBNN', 'ReActNet', 'ReCU', 'XNORNet']


@torch.no_grad()
def any_numbers(network):
    """Parameters and statistics with all their digits; norms of negative weight are among them."""
    torch.manual_seed(0)
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            parameter += torch.randn_like(parameter) * (0.05 if parameter.dim() > 3 else 0.3)
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 20)
            module.running_mean.normal_(std=2)
    return network.eval()


@pytest.mark.skipif(not {'avx2', 'avx512bw'} & set(available_kernels()),
                    reason='without AVX2 the stem sums in another order than oneDNN')
@pytest.mark.parametrize('method, network', [
    *((method, dict(depth=18, stem='imagenet_linear', out_indices=range(4))) for method in WITHOUT_OFFSET),
    ('IRNet', dict(depth=18, stem='imagenet', out_indices=(0, 1))), ('BNN', dict(depth=20, stem='cifar')),
    *(('ReActNet', dict(depth=20, downsample=name)) for name in DOWNSAMPLES)])
def test_rounds_as_the_trained_network(method, network):
    """No number is exact here, and every sign and every map is the trained network's all the same."""
    trained = any_numbers(BinaryResNet(binarizer=method, **network))
    packed, x = convert(deepcopy(trained)), torch.randn(2, 3, 69, 85)
    with torch.no_grad():
        last = torch.channels_last  # as a Runner has them
        for found, expected in zip(packed(x), trained.to(memory_format=last)(x.to(memory_format=last))):
            assert torch.equal(found, expected), (found != expected).float().mean()
    assert expected.unique().numel() > 100


@pytest.mark.parametrize('block', ['hardtanh', 'react'])
def test_mobile_net(block):
    network = BinaryMobileNet(binarizer='ReActNet', block=block, out_indices=(0, 1), output_stride=8)
    check_exact(make_exact(network), images(1, 3, 17, 22))


@pytest.mark.parametrize('method', ['BNN', 'AdaBin', 'RBNN', 'ReActNet'])
def test_vgg(method):
    """ReActNet's slopes are learned, and negative ones are among them: no threshold of the sum there."""
    packed = check_exact(make_exact(BinaryVGG(binarizer=method)), images(1, 3, 13, 18))
    assert sum(isinstance(m, ThresholdConv2d) for m in packed.modules()) == 2 * (method == 'BNN')


def test_maps_that_nothing_reads_are_not_written():
    """In a block of two convolutions the first one's result is bits alone, and each sum is packed once."""
    packed = check_exact(make_exact(BinaryResNet(20, binarizer='BNN')), images(1, 3, 16, 16))
    first = [m for name, m in packed.named_modules() if name.endswith('conv1') and name != 'conv1']
    second = [m for name, m in packed.named_modules() if name.endswith('conv2')]
    assert all(isinstance(m, ThresholdConv2d) for m in first) and len(first) == 9
    assert all(isinstance(m, PackedConv2d) and m.writes_map for m in second)
    seen = []
    for module in (*first, *second):
        module.register_forward_pre_hook(lambda m, x: seen.append(x[0].dtype))
    packed(images(1, 3, 16, 16))
    assert seen == [torch.float32] + [torch.int64] * 17


def test_a_network_whose_forward_follows_its_data_is_packed_layer_by_layer():
    class Skipping(BinaryResNet):
        def forward(self, x):
            return super().forward(x) if x.sum() != 0 else (x, )

    packed = check_exact(make_exact(Skipping(20, binarizer='BiReal')), images(1, 3, 16, 16))
    assert isinstance(packed, Skipping) and sum(isinstance(m, PackedConv2d) for m in packed.modules()) == 18


class Joined(BaseModule):
    """Two binary convolutions with norms, a normed shortcut, and ``forward`` as given."""

    def __init__(self, forward):
        super().__init__()
        self.conv1, self.conv2 = (BinaryConv2d(4, 4, 3, padding=1, binarizer='ReActNet') for _ in range(2))
        self.norm1, self.norm2, self.shortcut = (nn.BatchNorm2d(4) for _ in range(3))
        self.pool, self.shift = nn.AdaptiveAvgPool2d(1), nn.Parameter(torch.randn(4, 1, 1))
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


@pytest.mark.parametrize('forward', [
    lambda m, x: m.norm1(input=m.conv1(x=x)) + m.shortcut(input=x),
    lambda m, x: torch.add(m.norm1(m.conv1(x)), m.shortcut(x), alpha=2),
    lambda m, x: m.norm2(m.conv1(m.norm1(m.conv1(x)))) + m.shortcut(x),
    lambda m, x: m.shortcut(m.conv1(x)) + m.shortcut(x),
    lambda m, x: m.norm2(m.conv2(m.norm1(m.conv1(x)) + m.shortcut(x))) + m.shortcut(x),
    lambda m, x: m.norm1(m.conv1(x)) + m.pool(m.shortcut(x)),
    lambda m, x: m.norm1(m.conv1(x)) + m.shift],
    ids=['named arguments', 'scaled sum', 'shared convolution', 'one norm in both places', 'norm twice',
         'a number an image', 'a number a channel'])
def test_unusual_networks(forward):
    trained, x = any_numbers(Joined(forward)), torch.randn(2, 4, 5, 6)
    with torch.no_grad():
        expected = trained(x)
        assert torch.equal(convert(fuse(trained))(x), expected)


@pytest.mark.parametrize('norm, act', [('BN', 'PReLU'), ('BN', 'GELU'), (None, 'ReLU'), ('BN', None),
                                       ('GN', 'PReLU')])
@pytest.mark.parametrize('binary', [True, False])
def test_conv_modules(norm, act, binary):
    torch.manual_seed(0)
    module = ConvModule(
        8, 8, 3, padding=2, dilation=2, act_cfg=act and dict(type=act),
        conv_cfg=dict(type='cmim_mm.BinaryConv2d', binarizer='ReActNet') if binary else None,
        norm_cfg=norm and (dict(type='GN', num_groups=2) if norm == 'GN' else dict(type=norm)))
    for tensor in (*module.parameters(), *(b for n, b in module.named_buffers() if 'running' in n)):
        tensor.data += torch.rand_like(tensor)
    network, x = nn.Sequential(module).eval(), torch.randn(2, 8, 9, 9)
    with torch.no_grad():
        expected = network(x)
        found = convert(network)(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert module.with_norm is (norm == 'GN') and isinstance(module.conv, PackedConv2d) is binary
    assert not any(isinstance(m, nn.BatchNorm2d) for m in module.modules())


@pytest.mark.parametrize('method', ['IRNet', 'ReCU'])
def test_integer_thresholds_hold_for_every_sum(method):
    """All sums that there can be, norms of any sign, ties placed on purpose."""
    torch.manual_seed(0)
    conv = BinaryConv2d(7, 40, 3, binarizer=method).eval()
    norm = nn.BatchNorm2d(40).eval()
    with torch.no_grad():
        norm.weight.copy_(torch.randn(40) * (torch.arange(40) % 4 > 0))
        norm.running_mean.uniform_(-20, 20)
        norm.bias.uniform_(-1, 1)
        sums = torch.arange(-63, 64.0)
        affine = PackedConv2d(conv)
        maps = norm(sums.view(-1, 1, 1, 1) * affine.scale.view(-1, 1, 1) + affine.offset.view(-1, 1, 1))
        threshold = maps[torch.randint(127, (40, )), torch.arange(40)].flatten()
        layer = ThresholdConv2d(conv, norm, threshold)
    found = (sums.view(-1, 1) >= layer.limit) ^ layer.flip
    assert torch.equal(found, maps.flatten(1) >= threshold)
    assert found.float().mean(0).unique().numel() > 10


def test_limits_of_constants():
    for constant in (False, True):
        limit, flip = find_limit(lambda s, c=constant: torch.full((3, ), c), 3, most=5)
        assert torch.equal((torch.arange(-5, 6).view(-1, 1) >= limit) ^ flip, torch.full((11, 3), constant))


def test_packed_layers_do_not_train():
    packed = convert(BinaryResNet(20, binarizer='BNN'))
    with pytest.raises(CheckpointError, match='no weights to train'):
        packed.train()
    packed.eval()
    assert not any(p.requires_grad for p in packed.parameters())


@pytest.mark.parametrize('name, wrap', [
    ('BinaryResNet', lambda m: m), ('1', lambda m: nn.Sequential(nn.ReLU(), m))])
def test_what_cannot_be_packed_is_named(name, wrap):
    real = dict(type='ReActNet', real_weights=True)
    with pytest.raises(CheckpointError, match=f'^{name} cannot be packed: .*not 1-bit'):
        convert(wrap(BinaryResNet(20, binarizer=real)))
    with pytest.raises(CheckpointError, match='^0 cannot be packed: .*not 1-bit'):
        convert(nn.Sequential(BinaryConv2d(3, 3, 3, binarizer=real)))
