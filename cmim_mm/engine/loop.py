"""Iteration-based training that resumes exactly."""
import logging
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import broadcast, get_world_size
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from cmim_mm.datasets.sampler import ResumableSampler
from cmim_mm.datasets.seeded import SeededDataset
from cmim_mm.registry import LOOPS

from .micro_batch import mean_outputs, split_batch
from .schedule import optim_wrappers


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """``IterBasedTrainLoop`` whose resumed run sees the data that an uninterrupted one would see.

    The sampler starts at position iteration · batch size · ranks, so no past batch is read again, and it
    and the data set take the run's seed (the resumed one after ``--resume``) before any worker starts.
    With ``SeedHook`` for the model's own randomness, the weights after a kill and a resume equal those of
    an uninterrupted run bit by bit, on the same machine with the same number of threads.

    Args:
        runner, dataloader, max_iters, **kwargs: As in ``IterBasedTrainLoop``.
        micro_batches: Into how many parts a batch goes through the network, one after the other; the
            optimizer steps once, on the mean of their gradients. Saves memory. Iterations, schedule and
            data stay what they are (unlike with ``accumulative_counts``, where an iteration is a part of a
            step); batch norms see a part at a time.

    Raises:
        TypeError: The loader has no ``ResumableSampler``, no ``SeededDataset``, or a batch sampler.
        ValueError: ``micro_batches`` does not divide the batch size.
    """

    def __init__(self, runner, dataloader, max_iters: int, micro_batches: int = 1, **kwargs) -> None:
        BaseLoop.__init__(self, runner, dataloader)
        loader = self.dataloader
        _check(loader)
        if micro_batches < 1 or loader.batch_size % micro_batches:
            raise ValueError(f'ResumableIterLoop: micro_batches={micro_batches} does not divide '
                             f'train_dataloader.batch_size={loader.batch_size}')
        self.micro_batches = micro_batches
        # The parent would start the workers now, before the seed and the position are known.
        super().__init__(runner, _Unstarted(loader), max_iters, **kwargs)
        self.dataloader = loader

    def run(self) -> torch.nn.Module:
        """Trains from the current iteration to ``max_iters``."""
        self.accumulative_counts = getattr(self.runner.optim_wrapper, '_accumulative_counts', 1)
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.dataloader_iterator = self._data_from(self._iter)
        self._count_passes()
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

    def run_iter(self, data_batch: Any) -> None:
        """One iteration, by ``micro_batches`` passes."""
        self.runner.call_hook('before_train_iter', batch_idx=self._iter, data_batch=data_batch)
        outputs = [self.runner.model.train_step(part, optim_wrapper=self.runner.optim_wrapper)
                   for part in split_batch(data_batch, self.micro_batches)]
        self.runner.call_hook('after_train_iter', batch_idx=self._iter, data_batch=data_batch,
                              outputs=mean_outputs(outputs))
        self._iter += 1

    def _count_passes(self) -> None:
        """Lets the optimizer wrapper, which counts passes, know of the micro-batches."""
        if self.accumulative_counts > 1:
            print_log(
                f'accumulative_counts={self.accumulative_counts}: a step of the optimizer takes '
                'as many iterations, and the schedule counts iterations. To save memory and keep the '
                'training as it is, leave the batch size and set train_cfg.micro_batches instead.',
                'current', logging.WARNING)
        if self.micro_batches > 1:
            for wrapper in optim_wrappers(self.runner).values():
                wrapper._accumulative_counts *= self.micro_batches
                wrapper.initialize_count_status(
                    self.runner.model, self._iter * self.micro_batches, self._max_iters * self.micro_batches)

    def _data_from(self, iteration: int) -> Iterator:
        """The batches from ``iteration`` on."""
        counts = self.accumulative_counts
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
