"""CMIM piled on configs: what it adds, that it trains, and that what it is piled on stays as it was."""
from pathlib import Path

import pytest
import torch
from fake_cifar import write_cifar100
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope
from teacher_weights import give_teacher_weights

from cmim_mm.binarize import BINARIZERS, set_progress
from cmim_mm.datasets.data_root import set_data_root
from cmim_mm.models import Bank
from cmim_mm.models.teacher import full_precision_twin

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
NAMES = sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.rglob('*.py')
               if '_base_' not in p.parts and ('_cmim' in p.stem or p.stem.endswith('_distill')))
ADDED = {'cmim', 'on', 'teacher', 'teacher_scale', 'distill'}


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(scope='module')
def roots(tmp_path_factory, rooms_root):
    root = tmp_path_factory.mktemp('cifar100')
    write_cifar100(root)
    return dict(cifar100=root, nyud=rooms_root)


def plain_model(cfg):
    """The config's model as it is without CMIM and teachers."""
    if not isinstance(cfg, dict):
        return cfg
    plain = {k: plain_model(v) for k, v in cfg.items() if k not in ADDED}
    return dict(plain, type=cfg['on']) if 'on' in cfg else plain


def baseline(name):
    stem = Path(name).stem.partition('_cmim')[0].replace('_distill', '')
    return str(Path(name).with_name(f"{stem}{'_quick' if name.endswith('_quick.py') else ''}.py"))


@pytest.mark.parametrize('name', NAMES)
def test_only_adds_to_its_baseline(name):
    cfg, plain = Config.fromfile(CONFIGS / name), Config.fromfile(CONFIGS / baseline(name))
    assert cfg.model != plain.model and plain_model(cfg.model) == plain.model
    assert cfg.keys() == plain.keys()  # no key stays behind
    for key in plain.keys() - {'model'}:
        assert cfg[key] == plain[key], key
    teacher = cfg.model.get('teacher')
    if teacher and '://' not in teacher.get('checkpoint', '://'):
        folder, file = Path(teacher.checkpoint).parts[-2:]
        twin = Config.fromfile((CONFIGS / name).with_name(f'{folder}.py'))
        assert file == f'iter_{twin.train_cfg.max_iters}.pth'
        with torch.device('meta'):
            taught = MODELS.build(teacher.get('model') or full_precision_twin(plain.model))
            trained = MODELS.build(dict(twin.model, data_preprocessor=None))
        shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in (taught, trained)]
        assert shapes[0] == shapes[1]


STEPS = [*(f'pretrain/irnet_r20_cifar100_{added}.py'
           for added in ('cmim', 'cmim_teacher', 'cmim_reference', 'distill')),
         'nyud_seg_bnn_cmim_quick.py', 'nyud_depth_bnn_cmim_quick.py',
         *(f'study/cifar100_{form}.py' for form in ('average', 'later', 'neighbour'))]
TEACHER, CMIM = STEPS[1], 'model.cmim.'
#: Every option that docs/cmim.md lists is one away.
VARIED = [
    *((STEPS[0], {'model.backbone.binarizer': name}) for name in sorted(BINARIZERS.module_dict)),
    *((STEPS[0], {CMIM + key: value for key, value in options.items()}) for options in (
        {'taps': (0, 1, 2)}, {'taps': 'layer3.1.conv1'}, {'neck.dim': 16}, {'neck.trained': False},
        {'neck.pooling': 'flatten', 'neck.grid': (8, 8)}, {'neck.standardize': False},
        {'neck.latent.detach': 'latent'}, {'neck.latent.type': 'SecondView'},
        {'neck.latent.type': 'MovingAverage', 'neck.latent.momentum': 0.9, 'neck.latent.second_view': True},
        {'head.schedule': 'cosine'}, {'head.schedule.type': 'linear', 'head.schedule.end': 0.5},
        {'neck.latent.type': 'LaterLayer', 'taps': (0, 1, 2)}, {'head.positives': 'neighbour'},
        {'head.positives': 'class', 'head.negatives': 'other_classes'}, {'head.positives': 'bank'},
        {'head.loss.form': 'infonce'}, {'head.loss.temperature': 0.2}, {'head.memory.num_negatives': 9},
        {'head.memory.momentum': 0.9}, {'head.memory.dtype': 'bfloat16'}, {'head.memory.seed': 1},
        {'head.memory.type': 'Queue'}, {'head.memory.type': 'InBatch'},
        {'taps': (1, 2), 'head.tap_weights': (0.5, 1.0)},
        {'head.memory.type': 'InBatch', 'neck.pooling': 'spatial', 'neck.grid': (2, 2)})),
    ('pretrain/irnet_r20_cifar100.py', {'model.type': 'cmim_mm.CMIM', 'model.on': 'cmim_mm.ImageClassifier',
                                        'model.cmim.head.loss_weight': 0.1}),
    (TEACHER, {CMIM + 'neck.latent.indices': (-2, )}), (TEACHER, {CMIM + 'neck.latent.features': (-1, )}),
    (TEACHER, {'model.decode_head.distill.temperature': 2.0})]


@pytest.mark.parametrize('name, options', [(name, {}) for name in STEPS] + VARIED, ids=str)
def test_trains_one_step(name, options, roots, tmp_path):
    cfg = Config.fromfile(CONFIGS / name)
    cfg.merge_from_dict(options)
    set_data_root(cfg, str(roots['cifar100' if 'cifar100' in name else 'nyud']))
    give_teacher_weights(cfg.model, tmp_path / 'teacher.pth')
    torch.manual_seed(0)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    model.init_weights()
    set_progress(model, 0.1)
    for bank in (m for m in model.modules() if isinstance(m, Bank)):
        bank.allocate(len(dataset))
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
