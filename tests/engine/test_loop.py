"""Killed and resumed equals uninterrupted, bit by bit."""
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader
from toy_run import ITERATIONS, ToyDataset, build_runner

import cmim_mm
from cmim_mm.checkpoint import load_checkpoint_file

SCRIPT = Path(__file__).with_name('toy_run.py')


def run_script(work_dir, *arguments):
    environment = {**os.environ, 'OMP_NUM_THREADS': str(torch.get_num_threads()),
                   'PYTHONPATH': str(Path(cmim_mm.__file__).parents[1])}
    return subprocess.run([sys.executable, SCRIPT, work_dir, *map(str, arguments)], timeout=120,
                          capture_output=True, text=True, env=environment)


def assert_equal(one, other, where='checkpoint'):
    """Nested dicts and lists with bit-identical tensors."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f'{where}.{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other)):
            assert_equal(*pair, f'{where}.{number}')
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


def final_state(work_dir):
    checkpoint = load_checkpoint_file(Path(work_dir) / f'iter_{ITERATIONS}.pth')
    return {key: checkpoint[key] for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')}


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('uninterrupted')
    build_runner(work_dir).train()
    return work_dir


@pytest.mark.parametrize('workers', [0, 2])
def test_killed_and_resumed_is_bit_identical(workers, uninterrupted, tmp_path):
    iteration, delay = random.randint(4, ITERATIONS - 4), random.uniform(0, 0.05)
    killed = run_script(tmp_path, '--workers', workers, '--kill-at', iteration, delay)
    assert killed.returncode == -9, killed.stderr
    assert not (tmp_path / f'iter_{ITERATIONS}.pth').exists()
    resumed = build_runner(tmp_path, workers, resume=True)
    resumed.train()
    where = f'killed {delay} s into iteration {iteration}'
    assert_equal(final_state(tmp_path), final_state(uninterrupted), where)


@pytest.mark.parametrize('hooks, exact', [([{'type': 'cmim_mm.SeedHook'}], True), ([], False)])
def test_dropout_follows_from_the_iteration_by_the_seed_hook(hooks, exact, uninterrupted, tmp_path):
    checkpoint = str(uninterrupted / f'iter_{ITERATIONS - 2}.pth')
    build_runner(tmp_path, workers=2, resume=True, load_from=checkpoint,
                 custom_hooks=[*hooks, {'type': 'EMAHook'}]).train()
    one, other = (final_state(work_dir)['optimizer']['state'][0] for work_dir in (tmp_path, uninterrupted))
    assert torch.equal(one['exp_avg'], other['exp_avg']) is exact


def test_resumes_exactly_without_a_chosen_seed(tmp_path):
    build_runner(tmp_path, randomness={'seed': None}, checkpoint={'interval': 12}).train()
    whole = final_state(tmp_path)
    checkpoint = str(tmp_path / 'iter_12.pth')
    build_runner(tmp_path, resume=True, load_from=checkpoint, randomness={'seed': None}).train()
    assert_equal(final_state(tmp_path), whole)


def test_no_past_batch_is_read_again(tmp_path, monkeypatch):
    build_runner(tmp_path, iterations=6).train()
    seen = []
    read = ToyDataset.__getitem__
    monkeypatch.setattr(ToyDataset, '__getitem__', lambda self, i: seen.append(i) or read(self, i))
    runner = build_runner(tmp_path, resume=True, iterations=8,
                          val_dataloader=None, val_cfg=None, val_evaluator=None)
    runner.train()
    assert len(seen) == 2 * 2
    assert seen == runner.train_dataloader.sampler.order(1)[2:6]  # positions 12 to 15 of a set of 10


def test_warns_when_resumed_amid_accumulation(tmp_path, monkeypatch):
    build_runner(tmp_path, iterations=3, checkpoint={'interval': 1}).train()
    warnings = []
    monkeypatch.setattr('cmim_mm.engine.loop.print_log', lambda message, *args: warnings.append(message))
    build_runner(tmp_path, iterations=4, resume=True).train()
    assert 'multiple of 2' in warnings[0]


@pytest.mark.parametrize('loader, wanted', [
    ({'dataset': ToyDataset(), 'sampler': {'type': 'cmim_mm.ResumableSampler'}}, 'SeededDataset'),
    ({'dataset': ToyDataset(), 'sampler': {'type': 'InfiniteSampler'}}, 'ResumableSampler'),
])
def test_refuses_a_loader_that_cannot_resume(loader, wanted, tmp_path):
    with pytest.raises(TypeError, match=wanted):
        build_runner(tmp_path, train_dataloader={**loader, 'batch_size': 2, 'num_workers': 0}).train()


def test_refuses_a_built_loader_without_sampler(tmp_path):
    with pytest.raises(TypeError, match='SequentialSampler'):
        build_runner(tmp_path, train_dataloader=DataLoader(ToyDataset(), batch_size=2)).train()
