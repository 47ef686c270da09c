"""Whole models through the file: the same predictions by every door, and clear words where that cannot be."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.apis import MMSegInferencer, inference_model, init_model
from torch import nn

from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.datasets.nyud_meta import CLASSES, PALETTE
from cmim_mm.deploy import load, pack_checkpoint, read, write
from cmim_mm.deploy.convert import convert, prepare
from cmim_mm.deploy.format import Packed
from cmim_mm.deploy.loading import fill
from cmim_mm.deploy.packing import build, for_inference, inference_config, packed_state
from cmim_mm.deploy.safe_config import as_data, check_config
from cmim_mm.deploy.sign_conv import SignConv2d
from cmim_mm.models import BinaryResNet
from cmim_mm.models.pretrained import check_pretrained
from cmim_mm.registry import MODELS
from cmim_mm.safetensors_file import FileRefused

CONFIGS = {
    'seg': 'nyud_seg_bnn_cmim.py', 'depth': 'nyud_depth_bnn.py', 'cls': 'pretrain/irnet_r20_cifar10.py',
    'aspp': 'nyud_seg_bnn.py', '1-bit head': 'nyud/reactnet_r18-fcn-1bit_1xb8-20k_nyud-480x640.py',
    'foreign': 'foreign/reactnet_a_imagenet.py', 'twin': 'nyud_seg_fp.py'}
META = dict(dataset_meta=dict(classes=CLASSES[40], palette=PALETTE[40]), epoch=3, iter=7, seed=0)


def randomize(model: nn.Module) -> None:
    """Moves statistics and norms away from their start, as training does."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 20)
            module.weight.data.normal_(1, 0.5)
            module.bias.data.normal_(0, 0.3)


class Case:
    """A config with a checkpoint, its packed file, and the trained model."""

    def __init__(self, repository, folder, name):
        init_default_scope('mmseg')
        self.path = str(repository / 'configs' / CONFIGS[name])
        self.cfg = Config.fromfile(self.path)
        if name == 'aspp':
            self.cfg.merge_from_dict(Config.fromfile(repository / 'configs/_base_/models/bnn_r18_aspp.py'))
            self.cfg.model = Config.fromfile(repository / 'configs/_base_/models/bnn_r18_aspp.py').model
        torch.manual_seed(0)
        self.model = MODELS.build(self.cfg.model).eval()
        randomize(self.model)
        self.checkpoint, self.file = str(folder / 'trained.pth'), str(folder / 'packed.cmim')
        torch.save(dict(state_dict=self.model.state_dict(), meta=META), self.checkpoint)
        self.packed, self.float32 = pack_checkpoint(self.cfg, self.checkpoint)
        self.size = write(self.packed, self.file)


@pytest.fixture(scope='module')
def case(repository, tmp_path_factory):
    made = {}

    def make(name):
        if name not in made:
            made[name] = Case(repository, tmp_path_factory.mktemp('packed'), name)
        return made[name]

    return make


@torch.no_grad()
@pytest.mark.parametrize('name', CONFIGS)
def test_outputs_are_the_trained_models(case, name):
    case = case(name)
    model = load(case.file)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model(x), case.model(x), rtol=1e-3, atol=1e-4)
    assert sum(isinstance(m, SignConv2d) for m in model.modules()) == len(case.packed.bits)
    assert model.dataset_meta == META['dataset_meta'] and not model.training
    assert model.cfg.model.type == case.packed.config['model']['type']


def test_cmim_and_whatever_trains_stays_behind(case, repository):
    packed = case('seg').packed
    plain = Config.fromfile(repository / 'configs/nyud_seg_bnn.py')
    assert packed.config['model'] == for_inference(plain.model.to_dict())
    assert not any(word in name for name in packed.tensors for word in ('auxiliary', 'neck', 'num_batches'))
    assert packed.meta.keys() == {'cmim_mm_version', 'dataset_meta', 'epoch', 'iter'}
    assert json.dumps(packed.config).count('train') == 0
    inner = dict(type='mmseg.FPN', in_channels=[1], out_channels=1, num_outs=1, init_cfg=dict(type='Xavier'))
    model = dict(type='EncoderDecoder', pretrained='x', auxiliary_head=[], backbone=dict(type='R', taps=[1]),
                 neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[1], inner=inner))
    del inner['init_cfg']
    assert for_inference(model) == dict(type='EncoderDecoder', backbone=dict(type='R'), neck=inner)


def test_configs_travel(repository):
    """What evaluation reads of a config is data, tuples included, and passes the reader's checks."""
    for path in repository.glob('configs/*.py'):
        config = inference_config(Config.fromfile(path))
        assert check_config(json.loads(json.dumps(as_data(config)))) == config
        assert config.keys() >= {'model', 'test_dataloader', 'test_evaluator', 'test_pipeline'}


@pytest.mark.parametrize('name', ['seg', 'depth'])
def test_the_first_files_are_read(case, name, tmp_path):
    """They hold norms multiplied into what stands before them."""
    case = case(name)
    folded = build(case.packed.config)
    folded.load_state_dict(case.model.state_dict(), strict=False)
    folded = convert(folded, folded=True)
    path = tmp_path / 'first.cmim'
    write(case.packed._replace(tensors=packed_state(folded)), path)
    assert not any(key.endswith(('gain', 'affine', 'shift_in')) for key in read(path).tensors)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found = load(path)(x)
        assert torch.equal(found, prepare(folded)(x))
        torch.testing.assert_close(found, case.model(x), rtol=1e-3, atol=1e-3)


def with_shortcut(*layers):
    network = BinaryResNet(20, binarizer='ReActNet')
    network.layer2[0].downsample = nn.Sequential(nn.AvgPool2d(2), *layers)
    return network


@pytest.mark.parametrize('make, kept', [
    (lambda: BinaryResNet(20, binarizer='ReActNet'), 'act.shift_in'),
    (lambda: with_shortcut(nn.Conv2d(16, 32, 1), nn.ReLU(), nn.BatchNorm2d(32)),
     'layer2.0.downsample.3.running_var'),
    (lambda: with_shortcut(ConvModule(16, 32, 1, norm_cfg=dict(type='BN'), act_cfg=None)),
     'layer2.0.downsample.1.conv.bias')])
@torch.no_grad()
def test_what_the_first_files_keep_by_itself(make, kept):
    """An RPReLU and a norm behind no convolution; a convolution in a module of its own has its norm in it."""
    first = convert(make(), folded=True)
    state = packed_state(first)
    assert kept in state and not any(key.endswith(('gain', 'affine', 'conv1.shift_in')) for key in state)
    found, x = fill(make(), Packed({}, {}, state, {}), 'first.cmim'), torch.randn(1, 3, 16, 16)
    for one, other in zip(found(x), first(x)):
        assert torch.equal(one, other)


def test_sizes(case):
    case = case('depth')
    encoder, float32 = pack_checkpoint(case.cfg, case.checkpoint, part='backbone')
    folder = case.file + '.encoder'
    size = write(encoder, folder)
    assert float32 / size > 20 and case.float32 / case.size > 14
    half = write(pack_checkpoint(case.cfg, case.checkpoint, half=True)[0], folder)
    assert case.float32 / half > 20
    model = load(folder)
    assert all(t.dtype != torch.float16 for t in model.state_dict().values())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found, expected = model(x), case.model(x)
    assert (found - expected).abs().mean() < 0.5  # metres; a sign flips here and there


def test_a_backbone_alone(case):
    case = case('seg')
    write(pack_checkpoint(case.cfg, case.checkpoint, part='backbone')[0], case.file + '.encoder')
    backbone = load(case.file + '.encoder')
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for found, expected in zip(backbone(x), case.model.backbone(x)):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.fixture(params=['seg', 'depth'])
def task(request, case, rooms_root):
    """(case, key of the prediction, an image, what the trained model predicts of it)."""
    made, key = case(request.param), dict(seg='pred_sem_seg', depth='pred_depth_map')[request.param]
    image = str(rooms_root / 'image/0001.png')
    trained = init_model(made.path, made.checkpoint, device='cpu')
    return made, key, image, inference_model(trained, image).get(key).data.numpy()


def agree(found, expected):
    assert found.shape == expected.shape
    if expected.dtype.kind == 'f':
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    else:
        assert (found == expected).mean() > 0.999


def test_doors(task):
    """``load``, ``init_model`` with the training's config, and the inferencer."""
    case, key, image, expected = task
    models = [load(case.file), init_model(case.path, case.file, device='cpu')]
    for model in models:
        agree(inference_model(model, image).get(key).data.numpy(), expected)
        assert model.dataset_meta == META['dataset_meta']
    found = MMSegInferencer(model=case.path, weights=case.file, device='cpu')(image, return_datasamples=True)
    agree(found.get(key).data.numpy(), expected)


def test_what_does_not_fit_is_said(case, tmp_path):
    seg, depth = case('seg'), case('depth')
    with pytest.raises(CheckpointError, match='missing: decode_head.*import_checkpoint'):
        pack_checkpoint(seg.cfg, depth.checkpoint)
    with pytest.raises(CheckpointError, match="no part 'spine'"):
        pack_checkpoint(seg.cfg, seg.checkpoint, part='spine')
    with pytest.raises(CheckpointError, match='does not fit.*missing: decode_head.*left over'):
        init_model(seg.path, depth.file, device='cpu')
    with pytest.raises(CheckpointError, match='nothing can be trained'):
        check_pretrained(BinaryResNet(), seg.file, prefix='backbone.')
    with pytest.raises(CheckpointError, match='no weights to train'):
        load(seg.file).train()
    large = tmp_path / 'large.pth'
    state = torch.load(depth.checkpoint, weights_only=True)
    state['state_dict']['decode_head.conv_seg.bias'] += 1e6
    torch.save(state, large)
    with pytest.raises(CheckpointError, match='decode_head.conv_seg.bias: 1e.06 does not fit 16 bits'):
        pack_checkpoint(depth.cfg, large, half=True)


def test_a_damaged_file_is_refused_at_each_door(case, tmp_path):
    case, path = case('depth'), tmp_path / 'damaged.cmim'
    data = bytearray(Path(case.file).read_bytes())
    data[-5000] ^= 1
    path.write_bytes(data)
    for door in (load, load_checkpoint_file, lambda file: init_model(case.path, str(file), device='cpu')):
        with pytest.raises(FileRefused, match='damaged.cmim: is damaged'):
            door(path)


def test_building_leaves_the_scope_as_it_is(case):
    from mmengine.registry import DefaultScope
    config = dict(case('cls').packed.config, default_scope='mmdet')
    before = DefaultScope.get_current_instance().scope_name
    build(config)
    assert DefaultScope.get_current_instance().scope_name == before


@torch.no_grad()
@pytest.mark.parametrize('name', ['seg', 'depth', 'cls', '1-bit head', 'aspp'])
def test_bfloat16_is_near(case, name):
    case = case(name)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected, found = case.model(x), load(case.file, dtype=torch.bfloat16)(x)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().mean() < 0.5 * expected.std()
    with pytest.raises(ValueError, match='expected torch.float32 or torch.bfloat16'):
        load(case.file, dtype=torch.float16)
