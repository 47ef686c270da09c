"""Two gloo processes that train a classifier with CMIM equal one process on the joined batch."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cmim_ranks import STEPS, VARIANTS, build, train

import cmim_mm

SCRIPT = Path(__file__).with_name('cmim_ranks.py')


@pytest.fixture(scope='module')
def two_ranks(tmp_path_factory):
    """What each of two ranks ends with."""
    folder = tmp_path_factory.mktemp('ranks')
    environment = {**os.environ, 'PYTHONPATH': str(Path(cmim_mm.__file__).parents[1]), 'OMP_NUM_THREADS': '1',
                   'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run([sys.executable, SCRIPT, folder], env=environment, capture_output=True, text=True,
                          timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / rank, weights_only=True) for rank in '01']


@pytest.mark.parametrize('variant', VARIANTS, ids='-'.join)
def test_two_ranks_equal_one_process(variant, two_ranks):
    model = build(*variant)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    expected = train(model)
    mean = torch.tensor([rank[variant]['losses'] for rank in two_ranks]).mean(0)
    torch.testing.assert_close(mean, torch.tensor(expected), rtol=1e-6, atol=0)
    assert len(set(expected)) == STEPS
    state, moved = model.state_dict(), set()
    for name, value in state.items():
        for rank in two_ranks:
            torch.testing.assert_close(rank[variant]['state'][name], value, rtol=1e-6, atol=1e-12, msg=name)
        if not torch.equal(value, start[name]):
            moved.add(name)
    assert {name for name, p in model.named_parameters() if p.dim() > 1} <= moved
    if variant[1] == 'Bank':
        assert {f'auxiliary_head.memories.0.{side}' for side in ('latent', 'binary')} <= moved
        assert 'auxiliary_head.criteria.0.log_normalizer' in moved


@pytest.mark.parametrize('variant', VARIANTS, ids='-'.join)
def test_banks_normalizers_and_rotations_are_the_same_bit_by_bit(variant, two_ranks):
    one, other = (rank[variant]['state'] for rank in two_ranks)
    buffers = {name for name, _ in build(*variant).named_buffers()}
    assert variant[0] != 'RBNN' or sum(name.endswith('.R1') for name in buffers) == 18
    for name in one.keys() & buffers:
        assert torch.equal(one[name], other[name]), name
