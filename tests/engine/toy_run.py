"""A tiny training with everything that is random in a real one; a helper and a script of the tests here.

    python toy_run.py WORK_DIR [--workers N] [--kill-at ITERATION DELAY | --kill-in-save NUMBER]
                      [--launcher pytorch]
"""
import argparse
import atexit
import os
import random
import signal
import threading
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from cmim_mm.datasets import SeededDataset
from cmim_mm.engine import setup_launcher

ITERATIONS = 24


class ToyDataset(Dataset):
    """Ten samples with noise from each of the three generators."""

    metainfo = {'classes': ('a', 'b')}

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> dict:
        noise = random.random() + np.random.rand() + torch.rand(3, 4, 4)
        return {'inputs': index / 10 + noise, 'data_samples': index % 2}


class ToyModel(BaseModel):
    """Convolution, batch norm, dropout, linear."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5))
        self.head = nn.Linear(32, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        scores = self.head(self.body(torch.stack(list(inputs))))
        if mode == 'loss':
            return {'loss': nn.functional.cross_entropy(scores, torch.as_tensor(data_samples))}
        return list(scores)


class ToyMetric(BaseMetric):
    """Mean score, so that it differs at each validation."""

    def process(self, data_batch, data_samples) -> None:
        self.results += [float(sample.sum()) for sample in data_samples]

    def compute_metrics(self, results) -> dict:
        return {'score': float(np.mean(results)), 'score_again': float(np.mean(results))}


class KillHook(Hook):
    """Kills the process some milliseconds after an iteration began."""

    def __init__(self, iteration: int, delay: float) -> None:
        self.iteration, self.delay = iteration, delay

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.iteration:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        if runner.iter == ITERATIONS - 1:
            threading.Event().wait()  # never gets past the end alive


def build_runner(work_dir, workers=0, resume=False, batch_size=2, iterations=ITERATIONS, hooks=(),
                 launcher='none', checkpoint=None, **overrides) -> Runner:
    cfg = Config({})
    setup_launcher(cfg, launcher)
    dataset = SeededDataset(ToyDataset())
    arguments = {
        'model': ToyModel(),
        'work_dir': str(work_dir),
        'experiment_name': str(work_dir).replace(os.sep, '_') + f'_{workers}{resume}{random.random()}',
        'train_dataloader': {
            'dataset': dataset, 'batch_size': batch_size, 'num_workers': workers,
            'persistent_workers': workers > 0, 'sampler': {'type': 'cmim_mm.ResumableSampler'}},
        'train_cfg': {'type': 'cmim_mm.ResumableIterLoop', 'max_iters': iterations, 'val_interval': 5},
        'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'Adam', 'lr': 0.01},
                          'accumulative_counts': 2},
        'param_scheduler': [{'type': 'PolyLR', 'eta_min': 0.0, 'by_epoch': False, 'end': iterations}],
        'val_dataloader': {'dataset': dataset, 'batch_size': 3, 'num_workers': 0,
                           'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
        'val_cfg': {},
        'val_evaluator': [ToyMetric(prefix='toy')],
        'default_hooks': {
            'checkpoint': {'type': 'cmim_mm.AtomicCheckpointHook', 'by_epoch': False,
                           **(checkpoint or {'interval': 2, 'max_keep_ckpts': 2})},
            'logger': {'type': 'LoggerHook', 'interval': 1}},
        'custom_hooks': [{'type': 'cmim_mm.SeedHook'}, {'type': 'cmim_mm.ReduceLossHook'},
                         {'type': 'EMAHook'}, *hooks],
        'randomness': {'seed': 0},
        'log_processor': {'by_epoch': False},
        'log_level': 'ERROR',
        'resume': resume,
        'launcher': launcher,
        'cfg': cfg,
    }
    return Runner(**{**arguments, **overrides})


def _kill_in_save(number: int) -> None:
    """Kills the process when a file has been half-written for the ``number``-th time."""
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == number:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    os.fsync = fsync


def _write_threads(work_dir: Path) -> None:
    names = [(task / 'comm').read_text().strip() for task in Path('/proc/self/task').iterdir()]
    (work_dir / f'threads{os.environ["RANK"]}').write_text(' '.join(names))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('work_dir', type=Path)
    parser.add_argument('--workers', type=int, default=0)
    parser.add_argument('--kill-at', nargs=2, type=float)
    parser.add_argument('--kill-in-save', type=int)
    parser.add_argument('--launcher', default='none')
    args = parser.parse_args()
    hooks = []
    if args.kill_at:
        hooks = [KillHook(int(args.kill_at[0]), args.kill_at[1])]
    if args.kill_in_save:
        _kill_in_save(args.kill_in_save)
    if args.launcher == 'none':
        build_runner(args.work_dir, args.workers, hooks=hooks).train()
    else:
        atexit.register(_write_threads, args.work_dir)  # before the launcher's: called after it
        runner = build_runner(args.work_dir, iterations=3, launcher=args.launcher)
        runner.train()
        torch.save(dict(runner.model.module.named_parameters()), args.work_dir / f'rank{runner.rank}.pth')


if __name__ == '__main__':
    main()
