"""Runners of one process are kept apart."""
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

import cmim_mm  # noqa: F401


class Constant(BaseModel):
    """Its loss is a number of its own."""

    def __init__(self, value):
        super().__init__()
        self.value, self.layer = value, nn.Linear(1, 1)

    def forward(self, inputs, mode='tensor'):
        return {'loss': self.value + 0 * self.layer(torch.stack(list(inputs))).sum()}


def runner(work_dir, value, visualizer):
    work_dir.mkdir(exist_ok=True)
    (work_dir / 'same_name.py').touch()
    return Runner(
        Constant(value), str(work_dir), train_cfg={'by_epoch': False, 'max_iters': 2}, log_level='INFO',
        train_dataloader={'dataset': [{'inputs': torch.ones(1)}] * 4, 'batch_size': 2, 'num_workers': 0,
                          'sampler': {'type': 'InfiniteSampler'}},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}}, default_scope='mmseg',
        default_hooks={'logger': {'type': 'LoggerHook', 'interval': 1}}, log_processor={'by_epoch': False},
        visualizer=visualizer, cfg=Config({}, filename=str(work_dir / 'same_name.py')))


@pytest.mark.parametrize('visualizer', [
    None, {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}], 'name': 'visualizer'},
    {'type': 'cmim_mm.DenseVisualizer', 'vis_backends': [{'type': 'LocalVisBackend'}], 'name': 'visualizer'},
    {'type': 'cmim_mm.DenseVisualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]}])
@pytest.mark.parametrize('together', [False, True])
def test_each_writes_to_its_own_folder(visualizer, together, tmp_path):
    folders = [tmp_path / name for name in ('one', 'two')]
    if together:
        for made in [runner(folder, value, visualizer) for value, folder in enumerate(folders, 1)]:
            made.train()
    else:
        for value, folder in enumerate(folders, 1):
            runner(folder, value, visualizer).train()
    for value, folder in enumerate(folders, 1):
        scalars = [path.read_text() for path in folder.glob('*/vis_data/scalars.json')]
        assert [json.loads(line)['loss'] for line in scalars[0].splitlines()] == [value, value]
        log, = folder.glob('*/*.log')
        assert f'loss: {value}.0' in log.read_text() and f'loss: {3 - value}.0' not in log.read_text()


def test_two_starts_in_one_folder_and_second_have_a_log_each(tmp_path):
    for value in (1, 2):
        runner(tmp_path, value, None).train()
    assert len([*Path(tmp_path).glob('*/*.log')]) == 2


def test_hooks_of_the_first_see_the_message_hub_of_the_first(tmp_path):
    class Seen(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            assert set(runner.message_hub.get_scalar('train/loss').data[0]) == {runner.model.value}

    for made in [runner(tmp_path / str(value), value, None) for value in (1, 2)]:
        made.register_hook(Seen(), priority='LOWEST')
        made.train()
