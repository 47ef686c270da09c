import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cmim_mm.engine import ReduceLossHook, SeedHook


def draw(seed, iteration, rank):
    SeedHook().before_train_iter(SimpleNamespace(seed=seed, iter=iteration, rank=rank), 0)
    return random.random(), np.random.rand(), torch.rand(1).item()


@pytest.fixture(autouse=True)
def keep_random_states():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def test_a_step_draws_the_same_whatever_came_before():
    first = draw(0, 5, 0)
    random.random(), np.random.rand(), torch.rand(7)
    assert draw(0, 5, 0) == first


@pytest.mark.parametrize('other', [(1, 5, 0), (0, 6, 0), (0, 5, 1)])
def test_seed_iteration_and_rank_each_matter(other):
    assert all(a != b for a, b in zip(draw(0, 5, 0), draw(*other)))


def test_reduce_loss_means_over_ranks_in_place(monkeypatch):
    def all_reduce(values, op):
        assert op == 'mean'
        values.add_(1)

    monkeypatch.setattr('cmim_mm.engine.hooks.reduce_loss.get_world_size', lambda: 2)
    monkeypatch.setattr('cmim_mm.engine.hooks.reduce_loss.all_reduce', all_reduce)
    outputs = {'loss': torch.tensor(1.), 'acc': torch.tensor([3.]), 'constant': 0.5}
    ReduceLossHook().after_train_iter(None, 0, outputs=outputs)
    assert {name: float(value) for name, value in outputs.items()} == {'loss': 2., 'acc': 4., 'constant': 1.5}


def test_one_process_is_left_alone():
    outputs = {'loss': 1.0}
    ReduceLossHook().after_train_iter(None, 0, outputs=outputs)
    assert outputs == {'loss': 1.0} and isinstance(outputs['loss'], float)
