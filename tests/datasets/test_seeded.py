import random

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS

from cmim_mm.datasets import SeededDataset
from cmim_mm.datasets.seeded import Stream, derive_seed


class Noise:
    """Draws from each generator; records how it was asked."""

    metainfo = {'classes': ('wall',)}

    def __init__(self):
        self.initialized = False

    def full_init(self):
        self.initialized = True

    def get_data_info(self, index):
        return {'index': index}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(1).item()


@pytest.fixture(autouse=True)
def keep_random_states():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def test_a_sample_follows_from_its_position():
    dataset = SeededDataset(Noise())
    first = dataset[10, 3]
    assert first[0] == 3
    dataset[11, 3]
    assert dataset[10, 3] == first
    assert all(a != b for a, b in zip(dataset[11, 3][1:], first[1:]))


def test_seed_matters():
    assert SeededDataset(Noise(), seed=0)[0, 0] != SeededDataset(Noise(), seed=1)[0, 0]


def test_a_plain_index_seeds_nothing():
    state = torch.get_rng_state()
    dataset = SeededDataset([5, 6])
    assert dataset[1] == 6
    assert torch.equal(torch.get_rng_state(), state)


def test_hands_through_what_mmengine_asks_of_a_data_set():
    dataset = SeededDataset(Noise())
    dataset.full_init()
    assert dataset.dataset.initialized and len(dataset) == 4
    assert dataset.metainfo == Noise.metainfo and dataset.get_data_info(2) == {'index': 2}
    bare = SeededDataset([1])
    bare.full_init()
    assert bare.metainfo == {}


def test_builds_the_data_set_of_a_config(tmp_path):
    inner = {'type': 'BaseSegDataset', 'data_root': str(tmp_path), 'metainfo': {'classes': ('wall', 'floor')},
             'lazy_init': True}
    dataset = DATASETS.build({'type': 'cmim_mm.SeededDataset', 'dataset': {**inner, '_scope_': 'mmseg'}})
    assert dataset.metainfo['classes'] == ('wall', 'floor')


def test_streams_and_positions_have_their_own_seeds():
    seeds = {derive_seed(seed, stream, position)
             for seed in range(3) for stream in Stream for position in range(5)}
    assert len(seeds) == 3 * 3 * 5
    assert derive_seed(0, Stream.STEP, 1, 2) == 11950374538813747648
