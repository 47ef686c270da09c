"""CMIM piled on configs: what it adds, that it trains, and that what it is piled on stays as it was."""
from pathlib import Path

import pytest
import torch
from fake_cifar import write_cifar100
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope

from cmim_mm.binarize import BINARIZERS
from cmim_mm.datasets.data_root import set_data_root
from cmim_mm.models import MemoryBank

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
NAMES = sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.rglob('*.py')
               if '_base_' not in p.parts and ('_cmim' in p.stem or p.stem.endswith('_distill')))
ADDED = {'taps', 'neck', 'auxiliary_head', 'teacher', 'distill'}


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(scope='module')
def roots(tmp_path_factory, rooms_root):
    root = tmp_path_factory.mktemp('cifar100')
    write_cifar100(root)
    return dict(cifar100=root, nyud=rooms_root)


def give_teacher_weights(model_cfg, path):
    """Random weights in place of a teacher's training."""
    for owner in (model_cfg, model_cfg.get('neck', {})):
        if owner.get('teacher'):
            state = MODELS.build(owner.teacher.model).state_dict()
            prefix = owner.teacher.get('prefix') or ''
            torch.save(dict(state_dict={prefix + k: v for k, v in state.items()}), path)
            owner.teacher.checkpoint = str(path)


def without_additions(cfg):
    """The config's model as it is without CMIM."""
    if not isinstance(cfg, dict):
        return cfg
    return {k: without_additions(v) for k, v in cfg.items() if k not in ADDED}


def baseline(name):
    stem = Path(name).stem.partition('_cmim')[0].replace('_distill', '')
    return str(Path(name).with_name(f"{stem}{'_quick' if name.endswith('_quick.py') else ''}.py"))


@pytest.mark.parametrize('name', NAMES)
def test_only_adds_to_its_baseline(name):
    cfg, plain = Config.fromfile(CONFIGS / name), Config.fromfile(CONFIGS / baseline(name))
    assert cfg.model != plain.model and without_additions(cfg.model) == without_additions(plain.model)
    for key in plain.keys() - {'model'}:
        assert cfg[key] == plain[key], key
    teacher = cfg.model.get('teacher') or cfg.model.get('neck', {}).get('teacher')
    if teacher and '://' not in teacher.checkpoint:
        folder, file = Path(teacher.checkpoint).parts[-2:]
        twin = Config.fromfile(CONFIGS / 'pretrain' / f'{folder}.py')
        assert file == f'iter_{twin.train_cfg.max_iters}.pth'
        backbone = teacher.model.get('backbone', teacher.model)
        for key, value in backbone.items():
            assert twin.model.backbone.get(key, 'imagenet') == value, key
        if 'decode_head' in teacher.model:
            assert teacher.model.decode_head.num_classes == twin.model.decode_head.num_classes
            assert teacher.model.decode_head.get('with_norm', False) == twin.model.decode_head.get(
                'with_norm', False)


STEPS = [*(f'pretrain/irnet_r20_cifar100_{added}.py'
           for added in ('cmim', 'cmim_teacher', 'cmim_reference', 'distill')),
         'nyud_seg_bnn_cmim_quick.py', 'nyud_depth_bnn_cmim_quick.py']
VARIED = [(f'model.backbone.binarizer={name}', {'model.backbone.binarizer': name})
          for name in sorted(BINARIZERS.module_dict)] + [
    ('per layer', {'model.backbone.taps': (0, 1, 2), 'model.neck.in_channels': [16, 32, 64],
                   'model.auxiliary_head.tap_weights': [0.25, 0.5, 1.0]}),
    ('queue', {'model.auxiliary_head.memory.kind': 'queue', 'model.auxiliary_head.memory.num_rows': 32}),
    ('batch', {'model.auxiliary_head.memory.kind': 'batch', 'model.auxiliary_head.loss.form': 'infonce'}),
    ('classes', {'model.auxiliary_head.positives': 'class',
                 'model.auxiliary_head.memory.other_classes_only': True}),
    ('views', {'model.neck.two_views': True, 'model.neck.latent_momentum': 0.9})]


@pytest.mark.parametrize('name, options', [(name, {}) for name in STEPS] + [
    pytest.param(STEPS[0], options, id=label) for label, options in VARIED])
def test_trains_one_step(name, options, roots, tmp_path):
    cfg = Config.fromfile(CONFIGS / name)
    cfg.merge_from_dict(options)
    set_data_root(cfg, str(roots['cifar100' if 'cifar100' in name else 'nyud']))
    give_teacher_weights(cfg.model, tmp_path / 'teacher.pth')
    torch.manual_seed(0)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    model.init_weights()
    for memory in (m for m in model.modules() if isinstance(m, MemoryBank)):
        memory.allocate(memory.num_rows or len(dataset))
    keys = [(0, 0), (1, 1), (2, 2), (3, 3)]
    data = pseudo_collate(dataset.__getitems__(keys) if hasattr(dataset, '__getitems__') else
                          [dataset[key] for key in keys])
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    losses = [model.train_step(data, wrapper) for _ in range(2)][-1]
    assert all(torch.isfinite(torch.as_tensor(v)).all() for v in losses.values()), losses
    added = 'loss_distill' if 'distill' in name else 'aux.loss_cmim'
    assert losses[added] > 0
    still = [k for k, v in model.named_parameters() if torch.equal(v, before[k])]
    assert not still, f'parameters without any update: {still}'
