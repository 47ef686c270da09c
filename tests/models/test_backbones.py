"""All backbones: shapes, binary inputs that are not constant, heads of both tasks, published layouts."""
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from cmim_mm.binarize import BINARIZERS, BinaryConv2d, set_progress
from cmim_mm.models import BinaryMobileNet, BinaryResNet, BinaryVGG
from cmim_mm.models.backbones.blocks import HardtanhBlock, Maxout, MaxoutBlock
from cmim_mm.models.backbones.bottleneck import BOTTLENECKS
from cmim_mm.models.backbones.shortcuts import DOWNSAMPLES, PadChannels
from cmim_mm.registry import MODELS

NAMES = sorted(BINARIZERS.module_dict)
RESNET = 'cmim_mm.BinaryResNet'
#: Config -> channels and strides of the feature maps, number of binary convolutions.
BACKBONES = {
    'resnet50': (dict(type=RESNET, depth=50), (256, 512, 1024, 2048), (4, 8, 16, 32), 48),
    'cifar-resnet20': (dict(type=RESNET, depth=20), (16, 32, 64), (1, 2, 4), 18),
    'cifar-resnet18': (dict(type=RESNET, stem='cifar'), (64, 128, 256, 512), (1, 2, 4, 8), 16),
    'vgg': (dict(type='cmim_mm.BinaryVGG'), (128, 256, 512), (2, 4, 8), 5),
    'mobilenet': (dict(type='cmim_mm.BinaryMobileNet'), (128, 256, 512, 1024), (4, 8, 16, 32), 26),
}


def build(name, **arguments):
    return MODELS.build(dict(BACKBONES[name][0], **arguments))


def shapes(features):
    return [tuple(f.shape[1:]) for f in features]


def assert_not_constant(shares, number):
    bad = {name: share for name, share in shares.items() if not 0.05 <= share <= 0.95}
    assert len(shares) == number and not bad, bad


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('binarizer', ['ReActNet', None])
def test_shapes_round_up(name, binarizer):
    _, channels, strides, number = BACKBONES[name]
    model = build(name, binarizer=binarizer).eval()
    with torch.no_grad():
        features = model(torch.randn(1, 3, 35, 46))
    assert shapes(features) == [(c, -(-35 // s), -(-46 // s)) for c, s in zip(channels, strides)]
    binary = [m for m in model.modules() if isinstance(m, BinaryConv2d)]
    assert len(binary) == (number if binarizer else 0)
    assert type(model.conv1) is nn.Conv2d


@pytest.mark.parametrize('name', ['cifar-resnet20', 'vgg'])
@pytest.mark.parametrize('binarizer', NAMES)
def test_every_method_trains(name, binarizer, watch_shares):
    torch.manual_seed(0)
    model = build(name, binarizer=binarizer)
    set_progress(model, 0.5)
    shares = watch_shares(model)
    features = model(torch.randn(2, 3, 32, 32))
    assert_not_constant(shares, BACKBONES[name][3])
    sum((f * torch.randn_like(f)).mean() for f in features).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().sum() > 0, f'{parameter_name} gets a zero gradient'


@pytest.mark.parametrize('name, block', [
    *(('resnet50', block) for block in BOTTLENECKS if block),
    *(('mobilenet', block) for block in ('plain', 'bireal', 'react', 'maxout')),
    ('cifar-resnet18', 'plain'), ('cifar-resnet18', 'bireal')])
def test_every_block_feeds_no_constant(name, block, watch_shares):
    torch.manual_seed(0)
    model = build(name, binarizer='BiReal', block=block)
    shares = watch_shares(model)
    with torch.no_grad():
        model(torch.randn(2, 3, 64, 64))
    assert_not_constant(shares, BACKBONES[name][3])


def samples():
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        sample = SegDataSample(metainfo=dict(img_shape=(48, 64), ori_shape=(48, 64)))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 40, (1, 48, 64), generator=generator))
        sample.gt_depth_map = PixelData(data=0.5 + 5 * torch.rand(1, 48, 64, generator=generator))
        yield sample


@pytest.mark.usefixtures('mmseg_scope')
@pytest.mark.parametrize('task', ['seg', 'depth'])
@pytest.mark.parametrize('name', BACKBONES)
def test_feeds_the_heads(name, task, repository, watch_shares):
    backbone, channels, _, number = BACKBONES[name]
    cfg = Config.fromfile(repository / f'configs/nyud_{task}_bnn.py').model
    cfg.backbone = dict(backbone, binarizer='ReActNet')
    cfg.decode_head.update(in_channels=channels, in_index=list(range(len(channels))), channels=8)
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    shares = watch_shares(model)
    before = {k: v.clone() for k, v in model.named_parameters()}
    images = [torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8) for _ in range(2)]
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), 1.0))
    losses = model.train().train_step(dict(inputs=images, data_samples=list(samples())), optimizer)
    assert torch.isfinite(losses['loss'])
    assert_not_constant(shares, number)
    unmoved = {k for k, v in model.named_parameters() if torch.equal(v, before[k])}
    assert not {k for k in unmoved if k.endswith('conv1.weight') or 'conv2.weight' in k}, unmoved
    assert all(torch.isfinite(v).all() for v in model.state_dict().values())


@pytest.mark.parametrize('downsample', DOWNSAMPLES)
@pytest.mark.parametrize('size', [(16, 16), (13, 7)])
def test_downsamples(downsample, size):
    model = BinaryResNet(20, binarizer='IRNet', downsample=downsample).eval()
    with torch.no_grad():
        last = model(torch.randn(1, 3, *size))[-1]
    assert shapes([last]) == [(64, -(-size[0] // 4), -(-size[1] // 4))]
    kernels = {type(m) for n, m in model.named_modules() if 'downsample' in n and isinstance(m, nn.Conv2d)}
    assert kernels == {'f': {nn.Conv2d}, 'p': set()}.get(
        downsample[0], {BinaryConv2d} if 'binary' in downsample else {nn.Conv2d})


def test_pad_channels_by_hand():
    x = torch.arange(6.0).view(1, 2, 1, 3)
    y = PadChannels(2, 4, stride=2)(x)
    assert y.tolist() == [[[[0.0, 0.0]], [[0.0, 2.0]], [[3.0, 5.0]], [[0.0, 0.0]]]]


def test_cifar_recipes():
    model = BinaryResNet(20, binarizer='AdaBin')
    assert isinstance(model.act, Maxout) and type(model.layer1[0]) is MaxoutBlock
    assert len(model.layer1) == 6 and isinstance(model.layer2[0].downsample, PadChannels)
    for name in ('IRNet', 'RBNN', 'ReCU'):
        model = BinaryResNet(20, binarizer=name)
        assert isinstance(model.act, nn.Hardtanh) and type(model.layer1[0]) is HardtanhBlock
    assert isinstance(BinaryVGG(binarizer='IRNet').layer3[1].nonlinear, nn.Hardtanh)
    assert isinstance(BinaryVGG(binarizer='AdaBin').layer3[1].nonlinear, Maxout)


def test_pool_last_stem():
    torch.manual_seed(0)
    model = BinaryResNet(18, binarizer='AdaBin', stem='imagenet_pool_last').eval()
    model.bn1.weight.data.uniform_(-1, 1)
    x = torch.randn(1, 3, 32, 32)
    inputs = []
    model.layer1.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    with torch.no_grad():
        model(x)
        assert torch.equal(inputs[0], model.maxpool(model.act(model.bn1(model.conv1(x)))))


def test_resnet50_twin_has_the_published_names():
    names = set(BinaryResNet(50, binarizer=None).state_dict())
    assert {'layer1.0.conv3.weight', 'layer1.0.downsample.0.weight', 'layer4.2.bn3.running_var'} <= names
    assert len(names) == 320 - 2  # all of ResNet-50's but the classifier's


@pytest.mark.parametrize('name, strides', [('resnet50', (8, 16)), ('cifar-resnet18', (1, 4)),
                                           ('mobilenet', (8, 16))])
def test_output_stride(name, strides):
    own, x = BACKBONES[name][2], torch.randn(1, 3, 33, 40)
    models = [build(name, output_stride=s).eval() for s in (*strides, 32)]
    for model, stride in zip(models, (*strides, 32)):
        with torch.no_grad():
            sizes = [f.shape[2:] for f in model(x)]
        assert sizes == [(-(-33 // s), -(-40 // s)) for s in (min(o, stride) for o in own)]
    assert models[0].state_dict().keys() == models[-1].state_dict().keys()


@pytest.mark.parametrize('model, moved', [
    (lambda **kw: BinaryVGG(frozen_stages=1, **kw), {'layer2', 'layer3'}),
    (lambda **kw: BinaryMobileNet(frozen_stages=3, **kw), {'layer4'}),
    (lambda **kw: BinaryResNet(20, frozen_stages=0, **kw), {'layer1', 'layer2', 'layer3'})])
def test_frozen_stages(model, moved):
    model = model(norm_eval=True, out_indices=[2]).train()
    assert {n.split('.')[0] for n, p in model.named_parameters() if p.requires_grad} == moved
    assert not any(m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    assert len(model(torch.randn(2, 3, 32, 32))) == 1


@pytest.mark.parametrize('model, arguments, message', [
    (BinaryVGG, dict(out_indices=(3,)), 'BinaryVGG: out_indices=3.*0, 1, 2'),
    (BinaryVGG, dict(binarizer=None, block='react'), 'BinaryVGG: .*needs a binarizer'),
    (BinaryMobileNet, dict(output_stride=4), 'BinaryMobileNet: output_stride=4.*8, 16, 32'),
    (BinaryMobileNet, dict(block='basic'), "block='basic'.*plain, bireal, hardtanh, react, maxout"),
    (BinaryResNet, dict(depth=20, frozen_stages=4), 'frozen_stages=4.*-1, 0, 1, 2, 3'),
    (BinaryResNet, dict(stem='3x3'), "stem='3x3'.*imagenet, imagenet_pool_last, cifar")])
def test_bad_arguments_name_the_valid_ones(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model(**arguments)
