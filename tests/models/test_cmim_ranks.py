"""Two gloo processes equal one process on the joined batch: losses, weights, memory, normalizer."""
from pathlib import Path

import pytest
import torch
from toy_cmim import STEPS, VARIANTS, ToyCMIM, train
from two_ranks import run_two_ranks

SCRIPT = Path(__file__).with_name('toy_cmim.py')


@pytest.fixture(scope='module')
def two_ranks(tmp_path_factory):
    """What each of two ranks ends with."""
    folder = tmp_path_factory.mktemp('ranks')
    run_two_ranks(SCRIPT, folder)
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
