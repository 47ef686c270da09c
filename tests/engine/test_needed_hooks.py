"""What a training needs is there, whatever a config lists."""
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_run import build
from toy_run import build_runner as build_toy

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.engine.needed_hooks import NEEDED_HOOKS


@pytest.mark.parametrize('changes', [
    {}, {'custom_hooks': [dict(type='EMAHook')]}, {'custom_hooks': []}, {'custom_hooks': None},
    {'custom_hooks': [dict(type='cmim_mm.SeedHook')]},
    {'default_hooks': dict(logger=dict(type='LoggerHook'))},
    {'train_cfg': dict(type='IterBasedTrainLoop', max_iters=4)}])
def test_each_is_there_once(changes, tmp_path):
    runner = build(tmp_path, **changes)
    for hook in NEEDED_HOOKS:
        assert sum(isinstance(own, hook) for own in runner.hooks) == 1, hook


def test_a_child_config_cannot_lose_them(repository, rooms_root, tmp_path):
    (tmp_path / 'child.py').write_text(
        f"_base_ = {str(repository / 'configs/nyud_seg_bnn_quick.py')!r}\n"
        "custom_hooks = [dict(type='EMAHook')]\n"
        "default_hooks = dict(_delete_=True, logger=dict(type='LoggerHook'))\n")
    cfg = Config.fromfile(tmp_path / 'child.py')
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    names = [type(hook).__name__ for hook in runner.hooks]
    assert {hook.__name__ for hook in NEEDED_HOOKS} < {*names} and 'EMAHook' in names


def test_progress_moves_without_a_hook_in_the_config(tmp_path):
    runner = build(tmp_path, custom_hooks=[dict(type='EMAHook')])
    runner.train()
    layers = [module for module in runner.model.modules() if isinstance(module, BinaryConv2d)]
    assert layers and all(layer.binarizer.progress == 0.75 for layer in layers)


def test_ones_own_takes_the_place(tmp_path):
    runner = build(tmp_path, custom_hooks=[dict(type='cmim_mm.CheckDatasetHook', num_samples=3)])
    assert [hook.num_samples for hook in runner.hooks if hasattr(hook, 'num_samples')] == [3]


def test_models_of_others_are_left_alone(tmp_path):
    runner = build_toy(tmp_path, custom_hooks=[])
    assert not any(isinstance(own, NEEDED_HOOKS) for own in runner.hooks)
