from itertools import islice

import pytest

from cmim_mm.datasets import ResumableSampler, SeededDataset

SIZE = 7


def positions_and_indices(number, rank=0, ranks=1, start=0, **kwargs):
    sampler = ResumableSampler(range(SIZE), **{'seed': 0, **kwargs})
    sampler.start, sampler.rank, sampler.world_size = start, rank, ranks
    return [*islice(sampler, number)]


def test_each_epoch_is_a_permutation_of_its_own():
    pairs = positions_and_indices(4 * SIZE)
    assert [position for position, _ in pairs] == [*range(4 * SIZE)]
    epochs = [[index for _, index in pairs[e * SIZE:(e + 1) * SIZE]] for e in range(4)]
    assert all(sorted(epoch) == [*range(SIZE)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize('start', [1, SIZE - 1, SIZE, 3 * SIZE + 2])
def test_can_be_entered_anywhere(start):
    assert positions_and_indices(10, start=start) == positions_and_indices(start + 10)[start:]


@pytest.mark.parametrize('ranks', [2, 3])
@pytest.mark.parametrize('start', [0, 12])
def test_ranks_share_the_batch_of_one_process(ranks, start):
    batch, steps = 2, 5
    shares = [positions_and_indices(batch * steps, rank, ranks, start) for rank in range(ranks)]
    whole = positions_and_indices(batch * steps * ranks, start=start)
    for step in range(steps):
        union = sorted(pair for share in shares for pair in share[step * batch:(step + 1) * batch])
        assert union == whole[step * batch * ranks:(step + 1) * batch * ranks]


def test_seed_and_shuffle():
    assert positions_and_indices(SIZE) != positions_and_indices(SIZE, seed=1)
    assert positions_and_indices(2 * SIZE, shuffle=False) == [(p, p % SIZE) for p in range(2 * SIZE)]
    assert isinstance(ResumableSampler(range(SIZE)).seed, int)


@pytest.mark.parametrize('ranks', [1, 2, 3])
@pytest.mark.parametrize('epoch', [0, 1, 5])
def test_an_epoch_that_was_set_ends(ranks, epoch):
    shares = []
    for rank in range(ranks):
        sampler = ResumableSampler(range(SIZE), seed=0)
        sampler.rank, sampler.world_size = rank, ranks
        sampler.set_epoch(epoch)
        shares.append([*sampler])
        assert len(shares[-1]) == len(sampler) and shares[-1] == [*sampler]
    pairs = sorted(pair for share in shares for pair in share)
    assert pairs == positions_and_indices(len(pairs), start=epoch * SIZE)
    assert {index for _, index in pairs[:SIZE]} == {*range(SIZE)}


def test_a_seeded_data_set_takes_the_seed():
    dataset = SeededDataset(range(SIZE))
    ResumableSampler(dataset, seed=17)
    assert dataset.seed == 17


def test_length_is_a_ranks_share_of_an_epoch():
    sampler = ResumableSampler(range(SIZE), seed=0)
    assert len(sampler) == SIZE
    sampler.world_size = 2
    assert len(sampler) == 4


def test_empty_data_set_is_refused():
    with pytest.raises(ValueError, match='empty.*data_root'):
        ResumableSampler([])
