"""Two gloo processes equal one process on the joined batch: losses, weights, memory, normalizer."""
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_cmim import STEPS, VARIANTS, ToyCMIM, train

import cmim_mm

SCRIPT = Path(__file__).with_name('toy_cmim.py')


@pytest.fixture(scope='module')
def two_ranks(tmp_path_factory):
    """What each of two ranks ends with."""
    folder = tmp_path_factory.mktemp('ranks')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    environment = {**os.environ, 'PYTHONPATH': str(Path(cmim_mm.__file__).parents[1]), 'OMP_NUM_THREADS': '1',
                   'CUDA_VISIBLE_DEVICES': '', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port,
                   'WORLD_SIZE': '2'}
    ranks = [subprocess.Popen(
        [sys.executable, SCRIPT, folder / rank], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**environment, 'RANK': rank}) for rank in '01']
    for process in ranks:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return [torch.load(folder / rank) for rank in '01']


@pytest.mark.parametrize('kind', VARIANTS)
def test_two_ranks_equal_one_process(kind, two_ranks):
    model = ToyCMIM(kind)
    expected = torch.tensor(train(model, range(STEPS)))
    mean = torch.tensor([rank[kind]['losses'] for rank in two_ranks]).mean(0)
    torch.testing.assert_close(mean, expected, rtol=1e-6, atol=0)
    assert mean.unique().numel() == STEPS
    start = ToyCMIM(kind).state_dict()
    for name, value in model.state_dict().items():
        for rank in two_ranks:
            torch.testing.assert_close(rank[kind]['state'][name], value, rtol=1e-6, atol=1e-12, msg=name)
        assert torch.equal(value, start[name]) == (value.numel() == 0 or _constant(kind, name)), name


@pytest.mark.parametrize('kind', VARIANTS)
def test_ranks_hold_the_same_memory_bit_by_bit(kind, two_ranks):
    one, other = (rank[kind]['state'] for rank in two_ranks)
    for name in one:
        if not name.startswith('embeddings'):
            assert torch.equal(one[name], other[name]), name


def _constant(kind, name):
    """Whether a part of the state stays as it starts."""
    return (kind != 'queue' and name == 'memory.enqueued' or kind == 'bank' and name == 'memory.identity'
            or VARIANTS[kind][0] == 'infonce' and name.startswith('criterion'))
