"""Randomness derived from what is being computed, not from what ran before.

A random state dies with its process, so a resumed run could not go on with
it. Here every random number follows from the run's seed and a position: the
order of an epoch from (seed, epoch), the augmentation of a sample from (seed,
position in the stream of samples), dropout in a step from (seed, iteration,
rank). Workers, validation and interruptions then change nothing.
"""
import random
from enum import IntEnum
from typing import Any, Union

import numpy as np
import torch
from torch.utils.data import Dataset

from cmim_mm.registry import DATASETS


class Stream(IntEnum):
    """Keeps the uses of one seed apart."""
    ORDER = 0
    SAMPLE = 1
    STEP = 2


def derive_seed(seed: int, stream: Stream, *position: int) -> int:
    """A 64-bit seed for one position of one stream; stable over platforms and versions of numpy."""
    return int(np.random.SeedSequence((seed, stream, *position)).generate_state(1, np.uint64)[0])


def seed_everything(seed: int) -> None:
    """Seeds python, numpy and torch (every device) from one 64-bit seed."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.manual_seed(seed)


@DATASETS.register_module()
class SeededDataset(Dataset):
    """Makes each sample of a data set a function of (seed, position).

    ``dataset[position, index]``, which is what ``ResumableSampler`` asks for, seeds python, numpy and
    torch from (seed, position) and then takes ``dataset[index]``; with a plain ``index`` nothing is
    seeded. ``ResumableIterLoop`` sets ``seed`` to the run's before the workers start.

    Args:
        dataset: The data set, or its config.
        seed: Seed of the augmentations, until the loop sets it.
    """

    def __init__(self, dataset: Union[dict, Dataset], seed: int = 0) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.seed = seed

    @property
    def metainfo(self) -> dict:
        """Of the wrapped data set: names, palette."""
        return getattr(self.dataset, 'metainfo', {})

    def full_init(self) -> None:
        """Reads the wrapped data set's list of samples if that was put off."""
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    def get_data_info(self, index: int) -> dict:
        """The wrapped data set's record of one sample."""
        return self.dataset.get_data_info(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, keys: 'list[Union[int, tuple[int, int]]]') -> list:
        """A batch; in one piece from a data set with ``get_batch``, which draws no random numbers."""
        if hasattr(self.dataset, 'get_batch'):
            return self.dataset.get_batch([key[1] if isinstance(key, tuple) else key for key in keys])
        return [self[key] for key in keys]

    def __getitem__(self, key: Union[int, 'tuple[int, int]']) -> Any:
        if isinstance(key, tuple):
            position, key = key
            seed_everything(derive_seed(self.seed, Stream.SAMPLE, position))
        return self.dataset[key]
