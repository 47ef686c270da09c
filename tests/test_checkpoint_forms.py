"""Every form of a checkpoint enters by every door, and the weights arrive."""
import json
from collections import OrderedDict

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from mmseg.apis import MMSegInferencer, init_model
from mmseg.registry import MODELS
from test_checkpoint_doors import Toy, segmentor_config, toy_runner
from torch import nn

from cmim_mm.checkpoint import load_checkpoint_file
from cmim_mm.models import BinaryResNet, FrozenTeacher
from cmim_mm.models.converters import import_checkpoint
from cmim_mm.models.pretrained import check_weights

CODES = {torch.float32: 'F32', torch.float16: 'F16', torch.bfloat16: 'BF16', torch.int64: 'I64',
         torch.bool: 'BOOL', torch.float64: 'F64', torch.uint8: 'U8'}


def safetensors_bytes(state):
    """The format, written by its description."""
    header, data = {'__metadata__': {'format': 'pt'}}, b''
    for name, value in state.items():
        piece = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {'dtype': CODES[value.dtype], 'shape': list(value.shape),
                        'data_offsets': [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + data


def write_safetensors(state, path):
    path.write_bytes(safetensors_bytes(state))


def prefixed(state, prefix):
    return OrderedDict((prefix + key, value) for key, value in state.items())


FORMS = {
    'own': lambda state, path: torch.save({'state_dict': state, 'meta': {'iter': 1, 'epoch': 0}}, path),
    'state_dict alone in a dict': lambda state, path: torch.save({'state_dict': state}, path),
    'state dict': lambda state, path: torch.save(state, path),
    'DataParallel': lambda state, path: torch.save({'state_dict': prefixed(state, 'module.')}, path),
    'DataParallel, bare': lambda state, path: torch.save(prefixed(state, 'module.'), path),
    'compiled': lambda state, path: torch.save(prefixed(state, 'module._orig_mod.'), path),
    'model': lambda state, path: torch.save({'model': state, 'epoch': 3}, path),
    'model_state_dict': lambda state, path: torch.save({'model_state_dict': state, 'loss': 0.5}, path),
    'net': lambda state, path: torch.save({'net': state, 'acc': 90.0}, path),
    'before torch 1.6': lambda state, path: torch.save({'state_dict': state}, path,
                                                       _use_new_zipfile_serialization=False),
    'without num_batches_tracked': lambda state, path: torch.save(
        {k: v for k, v in state.items() if not k.endswith('num_batches_tracked')}, path),
    'safetensors': write_safetensors,
    'safetensors, DataParallel': lambda state, path: write_safetensors(prefixed(state, 'module.'), path),
}


def random_state(model):
    """Its state with weights that no initialization gives."""
    state = OrderedDict((key, torch.rand_like(value) if value.is_floating_point() else value)
                        for key, value in model.state_dict().items())
    model.load_state_dict(state)
    return state


def toy_model():
    return Toy()


def segmentor():
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(segmentor_config().model)


CLASSIFIER = dict(type='cmim_mm.ImageClassifier', backbone=dict(type='cmim_mm.BinaryResNet', depth=20,
                                                                binarizer='AdaBin'),
                  decode_head=dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=10))


def classifier():
    return MODELS.build(CLASSIFIER)


class Layer(BaseModule):
    def __init__(self, checkpoint):
        super().__init__(init_cfg={'type': 'Pretrained', 'checkpoint': checkpoint})
        self.layer = nn.Linear(2, 1)


def load_from(path, tmp_path):
    runner = toy_runner(tmp_path / 'run', load_from=path)
    runner.load_or_resume()
    return runner.model


def init_cfg(path, tmp_path):
    module = Layer(path)
    module.init_weights()
    return module


def encoder(path, tmp_path):
    module = BinaryResNet(20, binarizer='AdaBin',
                          init_cfg=dict(type='Pretrained', checkpoint=path, prefix='backbone.'))
    module.init_weights()
    holder = nn.Module()
    holder.backbone = module
    return holder


def teacher(path, tmp_path):
    held = FrozenTeacher(CLASSIFIER, path)
    held.init_weights()
    return held.model


def loaded(path, tmp_path):
    model = classifier()
    load_checkpoint(model, path)
    check_weights(model, path)
    return model


def importer(path, tmp_path):
    model = classifier()
    folder = tmp_path / 'configs'
    folder.mkdir()
    (folder / 'adabin_r20_cifar10.py').write_text(f'model = {CLASSIFIER!r}')
    model.load_state_dict(import_checkpoint(path, 'AdaBin', 'resnet20', folder).state, strict=False)
    return model


DOORS = {
    'load_from': (toy_model, load_from), 'init_cfg': (toy_model, init_cfg),
    'init_model': (segmentor, lambda path, _: init_model(segmentor_config(), path, device='cpu')),
    'inferencer': (segmentor, lambda path, _: MMSegInferencer(segmentor_config(), path, device='cpu').model),
    'encoder': (classifier, encoder), 'teacher': (classifier, teacher), 'test': (classifier, loaded),
    'importer': (classifier, importer),
}


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('door', DOORS)
def test_every_form_enters_by_every_door(door, form, tmp_path):
    make, enter = DOORS[door]
    expected = random_state(make())
    path = tmp_path / ('weights.safetensors' if 'safetensors' in form else 'weights.pth')
    FORMS[form](expected, path)
    arrived = enter(str(path), tmp_path).state_dict()
    assert any(key in arrived for key in expected)
    for key, value in arrived.items():
        if not key.endswith('num_batches_tracked'):
            assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize('name', ['own', 'best'])
def test_what_lies_beside_the_weights_stays(name, tmp_path):
    content = {'meta': {'iter': 7}, 'optimizer': {'state': {}}, 'state_dict': {'module.a': torch.ones(1)}}
    torch.save(content, tmp_path / 'a.pth')
    read = load_checkpoint_file(tmp_path / 'a.pth')
    assert read['meta'] == {'iter': 7} and read['optimizer'] == {'state': {}}
    assert [*read['state_dict']] == ['a']


def test_versions_of_modules_keep_their_names(tmp_path):
    """torch's batch norm reads there whether num_batches_tracked is to be expected."""
    torch.save(nn.DataParallel(nn.Sequential(nn.BatchNorm2d(1))).state_dict(), tmp_path / 'a.pth')
    state = load_checkpoint_file(tmp_path / 'a.pth')['state_dict']
    assert state._metadata['0']['version'] == 2 and '' in state._metadata


@pytest.mark.parametrize('content', [
    {}, {'epoch': 3}, {'state_dict': {'a': 1}}, {'a': torch.ones(1), 'b': 2}])
def test_what_has_no_weights_stays_as_it_is(content, tmp_path):
    torch.save(content, tmp_path / 'a.pth')
    assert load_checkpoint_file(tmp_path / 'a.pth') == content


def test_one_of_several_modules_named_module_is_no_wrapper(tmp_path):
    torch.save({'module.a': torch.ones(1), 'other.a': torch.ones(1)}, tmp_path / 'a.pth')
    assert [*load_checkpoint_file(tmp_path / 'a.pth')['state_dict']] == ['module.a', 'other.a']


@pytest.mark.parametrize('number', [40, 13])
def test_weights_alone_get_the_names_of_as_many_classes(number, tmp_path):
    cfg = segmentor_config()
    cfg.model.decode_head.num_classes = number
    with DefaultScope.overwrite_default_scope('mmseg'):
        torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'a.pth')
    from cmim_mm.datasets.nyud_meta import CLASSES, PALETTE
    meta = init_model(cfg, str(tmp_path / 'a.pth'), device='cpu').dataset_meta
    assert tuple(meta['classes']) == CLASSES[number] and meta['palette'] == PALETTE[number]
