"""An order of samples that can be entered at any position."""
from collections.abc import Iterator, Sized
from itertools import count
from typing import Optional

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from cmim_mm.datasets.seeded import SeededDataset, Stream, derive_seed
from cmim_mm.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ResumableSampler(Sampler):
    """Stream of (position, index), the same whatever the number of ranks.

    Position p belongs to epoch e = p // N and is its (p mod N)-th sample; the order of epoch e is a
    permutation drawn from (seed, e). Rank r of k takes the positions r, r + k, r + 2k, ... counted from
    ``start``: with b samples a rank, one step of all ranks is the batch of k·b positions that one process
    would take. To resume, set ``start`` to the number of positions used up: iteration · b · k.

    It never ends, unless ``set_epoch`` was called, as MMEngine's epochs do: then a pass is that epoch, of
    ``len(self)`` samples (the last positions of several ranks may be those of the next epoch).

    Args:
        dataset: Data set of N samples. A ``SeededDataset`` takes the seed over.
        seed: Seed of the order; None draws one that all ranks share.
        shuffle: Whether to permute the epochs.

    Attributes:
        start: Position of the first sample of a pass.
        endless: Whether a pass goes on into the next epochs, as in ``ResumableIterLoop``.
    """

    def __init__(self, dataset: Sized, seed: Optional[int] = None, shuffle: bool = True) -> None:
        if len(dataset) == 0:
            raise ValueError('ResumableSampler: the data set is empty. Check data_root and ann_file of the '
                             "config's train_dataloader.")
        self.dataset = dataset
        self.seed = sync_random_seed() if seed is None else seed
        self.shuffle = shuffle
        if isinstance(dataset, SeededDataset):
            dataset.seed = self.seed  # before any worker starts, whatever the loop
        self.start = 0
        self.endless = True
        self.rank, self.world_size = get_dist_info()

    def order(self, epoch: int) -> 'list[int]':
        """The N indices of an epoch in their order."""
        if not self.shuffle:
            return list(range(len(self.dataset)))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, Stream.ORDER, epoch))
        return torch.randperm(len(self.dataset), generator=generator).tolist()

    def set_epoch(self, epoch: int) -> None:
        """Makes the next pass one epoch; ``DistSamplerSeedHook`` calls it before each."""
        self.start, self.endless = epoch * len(self.dataset), False

    def __iter__(self) -> 'Iterator[tuple[int, int]]':
        first = self.start + self.rank
        positions = count(first, self.world_size) if self.endless else \
            range(first, first + len(self) * self.world_size, self.world_size)
        size, epoch = len(self.dataset), None
        for position in positions:
            if position // size != epoch:
                epoch = position // size
                order = self.order(epoch)
            yield position, order[position % size]

    def __len__(self) -> int:
        """Samples a rank takes in one epoch, rounded up."""
        return -(-len(self.dataset) // self.world_size)
