"""tools/train.py killed at a random moment and resumed ends with the weights of an undisturbed run."""
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

import cmim_mm  # noqa: F401  (allows what checkpoints of MMEngine hold)

ITERS = 12
OPTIONS = [
    'train_dataloader.batch_size=2', f'train_cfg.max_iters={ITERS}', 'train_cfg.val_interval=5',
    'param_scheduler.0.end=3', 'param_scheduler.1.begin=3', f'param_scheduler.1.end={ITERS}',
    'default_hooks.checkpoint.interval=3', 'default_hooks.checkpoint.save_best=None',
    'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
    'default_hooks.visualization.draw=False']


def command(repository, data_root, work_dir, workers, *more):
    return [
        sys.executable, str(repository / 'tools/train.py'), str(repository / 'configs/nyud_seg_bnn_quick.py'),
        '--data-root', str(data_root), '--work-dir', str(work_dir), *more, '--cfg-options', *OPTIONS,
        f'train_dataloader.num_workers={workers}', f'train_dataloader.persistent_workers={workers > 0}']


def environment(repository):
    return dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(repository))


def final(work_dir):
    return torch.load(work_dir / f'iter_{ITERS}.pth', weights_only=True)


@pytest.fixture(scope='module')
def undisturbed(repository, rooms_root, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('undisturbed')
    done = subprocess.run(
        command(repository, rooms_root, work_dir, 0), env=environment(repository),
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return final(work_dir)


@pytest.mark.parametrize('workers', [0, 2])
def test_killed_and_resumed_run_is_bit_identical(repository, rooms_root, tmp_path, undisturbed, workers):
    """Dropout is on and a validation lies in between; the workers' number makes no difference either."""
    process = subprocess.Popen(
        command(repository, rooms_root, tmp_path, workers), env=environment(repository),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (tmp_path / 'iter_3.pth').exists():
        assert process.poll() is None and time.monotonic() < deadline, 'training ended before it saved'
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.6))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, 'the kill came too late to show anything'
    done = subprocess.run(
        command(repository, rooms_root, tmp_path, workers, '--resume'), env=environment(repository),
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'resumed' in done.stdout
    resumed = final(tmp_path)
    for name, value in undisturbed['state_dict'].items():
        assert torch.equal(value, resumed['state_dict'][name]), name
    for number, state in undisturbed['optimizer']['state'].items():
        for key, value in state.items():
            assert torch.equal(value, resumed['optimizer']['state'][number][key]), (number, key)
