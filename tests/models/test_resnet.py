"""The contract of BinaryResNet for all binarizers, blocks, depths and output strides."""
import pytest
import torch
from torch import nn

from cmim_mm.binarize import BINARIZERS, BinaryConv2d, set_progress
from cmim_mm.models import BinaryResNet
from cmim_mm.models.backbones.blocks import BLOCKS, BasicBlock, ReActBlock
from cmim_mm.registry import MODELS

CHANNELS = (64, 128, 256, 512)
NAMES = sorted(BINARIZERS.module_dict)


def shapes(features):
    return [tuple(f.shape[1:]) for f in features]


@pytest.mark.parametrize('block', BLOCKS)
@pytest.mark.parametrize('binarizer', NAMES)
def test_trains_and_feeds_no_constant(binarizer, block, watch_shares):
    torch.manual_seed(0)
    model = BinaryResNet(binarizer=binarizer, block=block)
    set_progress(model, 0.5)
    for name, parameter in model.named_parameters():
        if name.endswith('binarizer.rotate'):  # at pi/2, where it starts, RBNN's weights get no gradient
            parameter.data.fill_(1.0)
    shares = watch_shares(model)
    features = model(torch.randn(2, 3, 64, 96))
    assert shapes(features) == [(64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]
    bad = {name: share for name, share in shares.items() if not 0.05 <= share <= 0.95}
    assert len(shares) == 16 and not bad, bad
    sum((f * torch.randn_like(f)).mean() for f in features).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f'{name} gets no gradient'
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, f'{name} gets a zero gradient'


@pytest.mark.parametrize('output_stride', [8, 16, 32])
@pytest.mark.parametrize('depth', [18, 34])
@pytest.mark.parametrize('binarizer', ['BNN', 'ReActNet', None])
def test_depth_and_output_stride(binarizer, depth, output_stride):
    model = BinaryResNet(depth, binarizer=binarizer, output_stride=output_stride).eval()
    with torch.no_grad():
        features = model(torch.randn(1, 3, 45, 67))
    sizes = {4: (12, 17), 8: (6, 9), 16: (3, 5), 32: (2, 3)}
    strides = [min(s, output_stride) for s in (4, 8, 16, 32)]
    assert shapes(features) == [(c, *sizes[s]) for c, s in zip(CHANNELS, strides)]
    kernels = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(kernels) == {18: 16, 34: 32}[depth]
    assert all(isinstance(m, BinaryConv2d) for m in kernels) is (binarizer is not None)
    assert not isinstance(model.conv1, BinaryConv2d)


@pytest.mark.parametrize('binarizer', ['IRNet', None])
def test_checkpoint_fits_any_output_stride(binarizer):
    states = [BinaryResNet(binarizer=binarizer, output_stride=s).state_dict() for s in (8, 16, 32)]
    assert states[0].keys() == states[1].keys() == states[2].keys()


def test_recipe_chooses_the_block():
    assert isinstance(BinaryResNet(binarizer='ReActNet').layer1[0], ReActBlock)
    for name in NAMES:
        expected = BLOCKS[BINARIZERS.get(name).block]
        assert type(BinaryResNet(binarizer=dict(type=name)).layer1[0]) is expected


def test_binarizer_arguments_reach_the_layers():
    model = MODELS.build(dict(type='cmim_mm.BinaryResNet', binarizer=dict(type='IRNet', t_min=0.1)))
    assert model.layer4[-1].conv1.binarizer.t_min == 0.1


@pytest.mark.parametrize('in_channels', [1, 4])
def test_in_channels_and_out_indices(in_channels):
    model = BinaryResNet(in_channels=in_channels, out_indices=(1, 3)).eval()
    with torch.no_grad():
        features = model(torch.randn(1, in_channels, 32, 32))
    assert shapes(features) == [(128, 4, 4), (512, 1, 1)]


def test_frozen_stages_do_not_move():
    model = BinaryResNet(binarizer='ReActNet', frozen_stages=2)
    assert model.train() is model
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    sum(f.square().mean() for f in model(torch.randn(2, 3, 32, 64))).backward()
    optimizer.step()
    moved = {k.split('.')[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {'layer3', 'layer4'}
    assert not model.layer2.training and model.layer3.training


def test_norm_eval_keeps_the_statistics():
    model = BinaryResNet(norm_eval=True).train()
    model(torch.randn(2, 3, 32, 32))
    assert model.bn1.num_batches_tracked == 0
    assert model.layer1[0].conv1.training and model.bn1.weight.requires_grad


def test_binary_downsample():
    model = BinaryResNet(binarizer='RBNN', downsample='binary')
    full = [n for n, m in model.named_modules() if type(m) is nn.Conv2d]
    assert full == ['conv1']
    assert model(torch.randn(2, 3, 33, 35))[-1].shape == (2, 512, 2, 2)


def test_twin_has_the_published_layout():
    model = BinaryResNet(binarizer=None)
    assert type(model.layer1[0]) is BasicBlock
    names = set(model.state_dict())
    assert {'conv1.weight', 'bn1.running_var', 'layer1.0.conv2.weight', 'layer2.0.downsample.0.weight',
            'layer4.0.downsample.1.bias', 'layer4.1.bn2.weight'} <= names
    # ResNet-18 without its classifier.
    assert sum(p.numel() for p in model.parameters()) == 11_689_512 - 513_000


def test_pretrained_by_init_cfg(tmp_path):
    source = BinaryResNet(binarizer='ReCU')
    set_progress(source, 1.0)
    state = {f'backbone.{k}': v for k, v in source.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'source.pth')
    model = BinaryResNet(binarizer='ReCU', output_stride=8, init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'source.pth'), prefix='backbone.'))
    model.init_weights()
    for name, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


@pytest.mark.parametrize('arguments, message', [
    (dict(depth=101), 'depth=101.*18, 20, 34, 50'),
    (dict(block='basic'), "block='basic'.*plain, bireal, hardtanh, react"),
    (dict(output_stride=4), 'output_stride=4.*8, 16, 32'),
    (dict(downsample='1bit'), "downsample='1bit'.*full, binary"),
    (dict(frozen_stages=5), 'frozen_stages=5'),
    (dict(out_indices=(0, 4)), 'out_indices=4.*0, 1, 2, 3'),
    (dict(binarizer=None, block='react'), 'needs a binarizer'),
])
def test_bad_arguments_name_the_valid_ones(arguments, message):
    with pytest.raises(ValueError, match=message):
        BinaryResNet(**arguments)


def test_unknown_binarizer_lists_the_names():
    with pytest.raises(KeyError, match='BiReal.*ReActNet'):
        BinaryResNet(binarizer='ReActNett')
