"""Stops training at the first loss or gradient that is not finite."""
from collections.abc import Iterator
from functools import partial
from typing import Any, NoReturn, Optional

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from cmim_mm.datasets.seeded import Stream, derive_seed, seed_everything
from cmim_mm.engine.bare_model import bare_model
from cmim_mm.engine.micro_batch import split_batch
from cmim_mm.engine.nonfinite import Culprit, find_culprit, nonfinite_parameter
from cmim_mm.last_checkpoint import last_checkpoint
from cmim_mm.registry import HOOKS


class NonFiniteError(FloatingPointError):
    """A loss, gradient or weight is NaN or infinite; the message says where, and what to go on from."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Ends training with a ``NonFiniteError`` before a NaN or an infinity reaches weights or a checkpoint.

    Gradients are checked right before the optimizer steps (not where a GradScaler skips the step, which is
    how float16 finds its scale), losses right after, weights before they are saved. So weights and the last
    checkpoint stay good. The failed step is then repeated, with the same random numbers, to name the layer
    where the first such value appears.

    The cost is one norm over the gradients and one look at it from the host a step.

    Raises:
        NonFiniteError: Names iteration, losses, layer, and the last checkpoint.
    """
    priority = 'VERY_HIGH'  # behind ReduceLossHook: all ranks see the same losses, and stop together

    def __init__(self) -> None:
        self._batches: list[tuple[int, Any]] = []
        self._handles: list = []

    def before_train(self, runner: Runner) -> None:
        def check(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
            # A fused optimizer under a GradScaler is called all the same, and skips the step itself.
            if getattr(optimizer, 'found_inf', None) is None and not _finite_gradients(optimizer):
                self._fail(runner, 'a gradient is')

        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        self._handles = [w.optimizer.register_step_pre_hook(check) for w in wrappers]

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        # As many as may have left their gradients in the next step of the optimizer.
        counts = getattr(runner.train_loop, 'accumulative_counts',
                         getattr(runner.optim_wrapper, '_accumulative_counts', 1))
        self._batches = [*self._batches, (runner.iter, data_batch)][-counts:]

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        bad = [name for name, value in (outputs or {}).items() if not torch.as_tensor(value).isfinite().all()]
        if any('loss' in name for name in bad):
            self._batches = self._batches[-1:]
            self._fail(runner, f'{", ".join(bad)} {"is" if len(bad) == 1 else "are"}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        place = nonfinite_parameter(runner.model)
        if place:
            raise NonFiniteError(f'iteration {runner.iter + 1}: {place} is NaN or infinite, so no checkpoint '
                                 f'is written. {_advice(runner)}')

    def after_train(self, runner: Runner) -> None:
        for handle in self._handles:
            handle.remove()

    def _fail(self, runner: Runner, what: str) -> NoReturn:
        for culprit in _repeat(runner, self._batches):
            if culprit.place:
                break
        losses = ', '.join(f'{name}={value:.4g}' for name, value in culprit.losses.items())
        place = culprit.place or 'not found: the repeated step is finite on this rank'
        raise NonFiniteError(f'iteration {runner.iter + 1}: {what} NaN or infinite. It begins at: {place}. '
                             f'The step gave {losses}. {_advice(runner)}')


def _finite_gradients(optimizer: Optimizer) -> bool:
    gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
    return get_total_norm(gradients).isfinite().item()


def _repeat(runner: Runner, batches: list[tuple[int, Any]]) -> Iterator[Culprit]:
    """What each pass through the network shows when it is repeated."""
    model = bare_model(runner)
    for iteration, batch in batches:
        seed_everything(derive_seed(runner.seed, Stream.STEP, iteration, runner.rank))  # as SeedHook
        for part in split_batch(batch, getattr(runner.train_loop, 'micro_batches', 1)):
            yield find_culprit(model, partial(_losses, runner, model, part))


def _losses(runner: Runner, model: nn.Module, batch: Any) -> dict:
    with runner.optim_wrapper.optim_context(model):
        return model._run_forward(model.data_preprocessor(batch, True), mode='loss')


def _advice(runner: Runner) -> str:
    last = last_checkpoint(runner.work_dir)
    kept = f'The last good checkpoint is {last}' if last else 'No checkpoint was saved before'
    return (f'{kept}. Try, with --resume too, a lower optim_wrapper.optimizer.lr, a longer warm-up, '
            'optim_wrapper.clip_grad.max_norm=1, or training without --amp; where an input is named, look at '
            'the data')
