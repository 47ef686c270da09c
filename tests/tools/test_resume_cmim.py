"""A training with CMIM killed at a random moment and resumed ends as an undisturbed one, bank included.

The killed run has probes too, which must not change anything either.
"""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fake_cifar import write_cifar100

import cmim_mm  # noqa: F401  (allows what checkpoints of MMEngine hold)

SCRIPT = Path(__file__).with_name('killed_run.py')
ITERS = 10  # two and a half epochs of 8 images
OPTIONS = [
    'train_dataloader.batch_size=2', f'train_cfg.max_iters={ITERS}', 'train_cfg.val_interval=4',
    f'param_scheduler.0.end={ITERS}', 'default_hooks.checkpoint.interval=2',
    'default_hooks.checkpoint.save_best=None', 'default_hooks.logger.interval=1',
    'model.cmim.head.memory.num_negatives=6', 'model.cmim.head.schedule=linear']


@pytest.fixture(scope='module')
def ends(repository, tmp_path_factory):
    """Last checkpoint and random states of the undisturbed and of the resumed run."""
    folder = tmp_path_factory.mktemp('cmim')
    write_cifar100(folder / 'data')
    done = subprocess.run(
        [sys.executable, SCRIPT, repository, folder,
         repository / 'configs/pretrain/irnet_r20_cifar100_cmim.py', '--data-root', folder / 'data',
         '--cfg-options', *OPTIONS],
        env=dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='', PYTHONPATH=str(repository)),
        capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'resumed' in done.stdout + done.stderr
    return [(torch.load(folder / name / f'iter_{ITERS}.pth', weights_only=True),
             (folder / name / 'random_states.txt').read_text()) for name in ('whole', 'broken')]


def test_weights_bank_and_normalizers_are_bit_identical(ends):
    (whole, _), (resumed, _) = ends
    assert whole['state_dict'].keys() == resumed['state_dict'].keys()
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, resumed['state_dict'][name]), name
    memory, criterion = 'auxiliary_head.memories.0.', 'auxiliary_head.criteria.0.'
    state = resumed['state_dict']
    assert state[f'{memory}steps'] == ITERS and len(state[f'{memory}latent']) == 8
    assert state[f'{criterion}estimated'].all()


def test_optimizer_and_schedules_are_bit_identical(ends):
    (whole, _), (resumed, _) = ends
    momenta, others = (list(end['optimizer']['state'].values()) for end in (whole, resumed))
    assert len(momenta) == len(others) > 20
    for one, other in zip(momenta, others):
        assert torch.equal(one['momentum_buffer'], other['momentum_buffer'])
    assert whole['optimizer']['param_groups'] == resumed['optimizer']['param_groups']
    assert repr(whole['param_schedulers']) == repr(resumed['param_schedulers'])


def test_random_states_are_those_of_the_undisturbed_run(ends):
    (_, whole), (_, resumed) = ends
    assert whole == resumed
