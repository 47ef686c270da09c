"""Every config builds its data and model, takes a training step, and feeds no binary layer a constant."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS
from teacher_weights import give_teacher_weights

from cmim_mm.binarize import BINARIZERS, BinaryConv2d
from cmim_mm.datasets.data_root import set_data_root

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# Other tests have the others.
NAMES = sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.rglob('*.py')
               if not {'_base_', 'pretrain', 'foreign', 'transfer'} & {*p.parts}
               and not {'cmim', 'cifar100'} & {*p.stem.split('_')} and not p.stem.endswith('_distill'))
HEADS = sorted(p.name for p in (CONFIGS / '_base_/models').glob('bnn_*.py'))


def load(name, rooms_root, **options):
    cfg = Config.fromfile(CONFIGS / name)
    cfg.merge_from_dict(options)
    cfg.model.backbone.pop('init_cfg', None)  # an encoder that is trained first
    set_data_root(cfg, str(rooms_root))
    init_default_scope(cfg.default_scope)
    return cfg


def one_step(cfg):
    """One optimizer step on two images of the config's own data; returns (model, losses, shares of +1)."""
    torch.manual_seed(0)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    model.init_weights()
    shares = {}

    def record(name):
        def hook(conv, inputs):
            binary = conv.binary_input(inputs[0].detach())
            shares[name] = (binary == binary.max()).float().mean().item()

        return hook

    for name, module in model.named_modules():
        if isinstance(module, BinaryConv2d):
            module.register_forward_pre_hook(record(name))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    data = pseudo_collate([dataset[(0, 0)], dataset[(1, 1)]])
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    losses = model.train_step(data, optim_wrapper=wrapper)
    moved = {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    return model, losses, shares, moved


@pytest.mark.parametrize('name', NAMES)
def test_config_trains_one_step(name, rooms_root, tmp_path):
    cfg = load(name, rooms_root)
    if 'checkpoint' in cfg.model.get('teacher', {}):  # one that is trained first
        give_teacher_weights(cfg.model, tmp_path / 'teacher.pth')
    model, losses, shares, moved = one_step(cfg)
    assert all(torch.isfinite(v).all() for v in losses.values()), losses
    trained = {k for k, v in model.named_parameters() if v.requires_grad}
    assert trained - moved == set(), f'parameters without any update: {sorted(trained - moved)}'
    if cfg.model.backbone.get('binarizer') is None:
        assert not shares
    else:
        assert shares
        bad = {k: v for k, v in shares.items() if not 0.05 <= v <= 0.95}
        assert not bad, f'share of the upper value outside 5 to 95 %: {bad}'


@pytest.mark.parametrize('name', ['nyud_seg_bnn_quick.py', 'nyud_depth_bnn_quick.py', 'nyud_depth_bnn.py'])
@pytest.mark.parametrize('loader', ['train_dataloader', 'val_dataloader'])
def test_batches_reach_the_network_with_the_channels_last(name, loader, rooms_root):
    cfg = load(name, rooms_root)
    dataset = DATASETS.build(cfg[loader].dataset)
    training = loader == 'train_dataloader'
    data = pseudo_collate([dataset[key] for key in ([(0, 0), (1, 1)] if training else [0, 0])])
    assert all(image.permute(1, 2, 0).is_contiguous() for image in data['inputs'])
    out = MODELS.build(cfg.model.data_preprocessor)(data, training)
    assert out['inputs'].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('name', NAMES)
def test_config_keeps_the_conventions(name):
    cfg = Config.fromfile(CONFIGS / name)
    assert cfg.model.get('auxiliary_head', {}).get('type') in (
        None, 'cmim_mm.FeatureRegressionHead', 'cmim_mm.BitEntropyHead')
    assert cfg.test_dataloader.dataset == cfg.val_dataloader.dataset
    assert cfg.randomness.seed is not None
    assert not any('Load' in t['type'] and t['type'] != 'LoadImageFromFile' for t in cfg.test_pipeline)
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters


@pytest.mark.parametrize('name', sorted(BINARIZERS.module_dict))
def test_binarizer_swaps_by_one_option(name, rooms_root):
    option = {'model.backbone.binarizer': DictAction._parse_iterable(name)}
    _, losses, shares, _ = one_step(load('nyud_seg_bnn.py', rooms_root, **option))
    assert torch.isfinite(losses['loss'])
    assert all(0.02 <= v <= 0.98 for v in shares.values()), shares


@pytest.mark.parametrize('name', ['nyud_seg_bnn.py', 'nyud_depth_bnn.py'])
def test_depth_of_the_network_swaps_by_one_option(name, rooms_root):
    model, losses, _, _ = one_step(load(name, rooms_root, **{'model.backbone.depth': 34}))
    assert torch.isfinite(losses['loss'])
    assert sum(isinstance(m, BinaryConv2d) for m in model.modules()) == 32


@pytest.mark.parametrize('name', HEADS)
def test_head_swaps_by_one_base_file(name, rooms_root, tmp_path):
    task = 'depth' if 'depth' in name else 'seg'
    (tmp_path / 'child.py').write_text(f"""_base_ = [
    '{CONFIGS}/_base_/models/{name}',
    '{CONFIGS}/_base_/datasets/nyud_{task}.py',
    '{CONFIGS}/_base_/schedules/schedule_20k.py',
    '{CONFIGS}/_base_/default_runtime.py',
]
""")
    _, losses, _, _ = one_step(load(tmp_path / 'child.py', rooms_root))
    assert torch.isfinite(losses['loss'])
