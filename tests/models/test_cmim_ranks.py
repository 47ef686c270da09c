"""Two gloo processes equal one process on the joined batch: losses, weights, memory, normalizer."""
from pathlib import Path

import pytest
import torch
from toy_contrast import STEPS, VARIANTS, ToyContrast, train
from two_ranks import run_two_ranks

SCRIPT = Path(__file__).with_name('toy_contrast.py')


@pytest.fixture(scope='module')
def two_ranks(tmp_path_factory):
    """What each of two ranks ends with."""
    folder = tmp_path_factory.mktemp('ranks')
    run_two_ranks(SCRIPT, folder)
    return [torch.load(folder / rank) for rank in '01']


@pytest.mark.parametrize('variant', VARIANTS)
def test_two_ranks_equal_one_process(variant, two_ranks):
    model = ToyContrast(variant)
    expected = torch.tensor(train(model, range(STEPS)))
    mean = torch.tensor([rank[variant]['losses'] for rank in two_ranks]).mean(0)
    torch.testing.assert_close(mean, expected, rtol=1e-6, atol=0)
    assert mean.unique().numel() == STEPS
    start = ToyContrast(variant).state_dict()
    for name, value in model.state_dict().items():
        for rank in two_ranks:
            torch.testing.assert_close(rank[variant]['state'][name], value, rtol=1e-6, atol=1e-12, msg=name)
        infonce = VARIANTS[variant][0].get('form') == 'infonce'
        constant = name == 'memory.card' or infonce and name.startswith('criterion')
        assert torch.equal(value, start[name]) == constant, name


@pytest.mark.parametrize('variant', VARIANTS)
def test_ranks_hold_the_same_memory_bit_by_bit(variant, two_ranks):
    one, other = (rank[variant]['state'] for rank in two_ranks)
    for name in one:
        if not name.startswith('embeddings'):
            assert torch.equal(one[name], other[name]), name
