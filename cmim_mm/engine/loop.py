"""Iteration-based training that resumes exactly."""
import logging
from collections.abc import Iterator

import torch
from mmengine.dist import broadcast, get_world_size
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from cmim_mm.datasets.sampler import ResumableSampler
from cmim_mm.datasets.seeded import SeededDataset
from cmim_mm.registry import LOOPS


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """``IterBasedTrainLoop`` whose resumed run sees the data that an uninterrupted one would see.

    The sampler starts at position iteration · batch size · ranks, so no past batch is read again, and it
    and the data set take the run's seed (the resumed one after ``--resume``) before any worker starts.
    With ``SeedHook`` for the model's own randomness, the weights after a kill and a resume equal those of
    an uninterrupted run bit by bit, on the same machine with the same number of threads.

    Arguments are those of ``IterBasedTrainLoop``.

    Raises:
        TypeError: The loader has no ``ResumableSampler``, no ``SeededDataset``, or a batch sampler.
    """

    def __init__(self, runner, dataloader, max_iters: int, **kwargs) -> None:
        BaseLoop.__init__(self, runner, dataloader)
        loader = self.dataloader
        _check(loader)
        # The parent would start the workers now, before the seed and the position are known.
        super().__init__(runner, _Unstarted(loader), max_iters, **kwargs)
        self.dataloader = loader

    def run(self) -> torch.nn.Module:
        """Trains from the current iteration to ``max_iters``."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.dataloader_iterator = self._data_from(self._iter)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if self._is_time_to_validate():
                self.runner.val_loop.run()
        # Workers left to the garbage collector would hold it up for 5 s each.
        self.dataloader_iterator = self.dataloader._iterator = None
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _data_from(self, iteration: int) -> Iterator:
        """The batches from ``iteration`` on."""
        counts = getattr(self.runner.optim_wrapper, '_accumulative_counts', 1)
        if iteration % counts:
            print_log(
                f'Resumed at iteration {iteration}, amid {counts} accumulated ones: their gradients are not '
                'in the checkpoint, so this step differs from an uninterrupted run. Make the checkpoint '
                f"hook's interval a multiple of {counts}.", 'current', logging.WARNING)
        seed = torch.tensor(self.runner.seed)
        broadcast(seed)  # the ranks' seeds differ under diff_rank_seed
        sampler = self.dataloader.sampler
        self.dataloader.dataset.seed = sampler.seed = seed.item()
        sampler.start = iteration * self.dataloader.batch_size * get_world_size()
        sampler.endless = True
        return iter(self.dataloader)

    def _is_time_to_validate(self) -> bool:
        return (self.runner.val_loop is not None and self._iter >= self.val_begin
                and (self._iter % self.val_interval == 0 or self._iter == self._max_iters))


class _Unstarted:
    """Stands for a loader whose iteration must not begin yet."""

    def __init__(self, loader: DataLoader) -> None:
        self.dataset = loader.dataset

    def __iter__(self) -> Iterator:
        return iter(())


def _check(loader: DataLoader) -> None:
    if not isinstance(loader.sampler, ResumableSampler) or loader.batch_size is None:
        raise TypeError(
            "ResumableIterLoop: train_dataloader needs sampler=dict(type='cmim_mm.ResumableSampler') and a "
            f'batch_size (no batch_sampler); its sampler is a {type(loader.sampler).__name__}. Set it, or '
            "train with type='IterBasedTrainLoop', which does not resume exactly.")
    if not isinstance(loader.dataset, SeededDataset):
        raise TypeError(
            "ResumableIterLoop: train_dataloader needs dataset=dict(type='cmim_mm.SeededDataset', dataset="
            f'dict(...)) around its data set; it is a {type(loader.dataset).__name__}. Wrap it, or train '
            "with type='IterBasedTrainLoop', which does not resume exactly.")
