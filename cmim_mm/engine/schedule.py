"""Where a schedule stands after so many iterations, and whether it lasts as long as the training."""
import copy
from typing import Optional

from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import ReduceOnPlateauParamScheduler, _ParamScheduler
from mmengine.runner import EpochBasedTrainLoop, Runner

#: Of a scheduler: where it stands, and what follows from its arguments and the optimizer.
_DERIVED = ('optimizer', 'verbose', 'last_step', '_global_step', '_last_value', 'base_values', 'total_iters')


class ScheduleError(ValueError):
    """The schedule of a config cannot be what was meant; the message names the keys to set."""


class Optimizer:
    """What a scheduler sees of an optimizer: its groups' settings, without the parameters.

    Attributes:
        param_groups: One dict a group.
    """
    _global_step = 0

    def __init__(self, wrapper: OptimWrapper) -> None:
        self.param_groups = [{key: value for key, value in group.items() if key != 'params'}
                             for group in wrapper.param_groups]

    def step(self) -> None:
        """Schedulers look whether it is there."""
    step._with_counter = True


def optim_wrappers(runner: Runner) -> dict[str, OptimWrapper]:
    """The run's optimizer wrappers by their prefix in configs: '' for a single one, else 'NAME.'."""
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapperDict):
        return {f'{name}.': one for name, one in wrapper.items()}
    return {'': wrapper}


def schedulers_of(runner: Runner, prefix: str) -> list[_ParamScheduler]:
    """The schedulers of the optimizer wrapper with this prefix."""
    schedulers = runner.param_schedulers or []
    return schedulers[prefix[:-1]] if isinstance(schedulers, dict) else list(schedulers)


def describe(scheduler: _ParamScheduler) -> dict:
    """Type and arguments, as plain data: equal for schedulers that do the same, wherever they stand."""
    arguments = {key: value for key, value in vars(scheduler).items() if key not in _DERIVED}
    return {'type': type(scheduler).__name__, **arguments}


def depends_on_metrics(scheduler: _ParamScheduler) -> bool:
    """Whether its state follows from past validations, and not from the iteration alone."""
    return isinstance(scheduler, ReduceOnPlateauParamScheduler)


def rehearse(schedulers: list[_ParamScheduler], wrapper: OptimWrapper, iterations: int,
             epoch_length: Optional[int] = None) -> tuple[Optimizer, list[_ParamScheduler]]:
    """Takes new schedulers through the iterations as an uninterrupted training would, by the same sums.

    Args:
        schedulers: New ones; they and the optimizer stay as they are.
        wrapper: Theirs, new as well.
        iterations: How many.
        epoch_length: Iterations of an epoch, where the loop counts epochs.

    Returns:
        The settings of the optimizer's groups, and the schedulers, after them.
    """
    optimizer = Optimizer(wrapper)
    steppers = []
    for scheduler in schedulers:
        steppers.append(copy.copy(scheduler))
        steppers[-1].optimizer = optimizer
    of_iterations = [s for s in steppers if not s.by_epoch]
    of_epochs = [s for s in steppers if s.by_epoch]
    for iteration in range(1, iterations + 1):
        for scheduler in of_iterations:
            scheduler.step()
        if epoch_length and iteration % epoch_length == 0:
            for scheduler in of_epochs:
                scheduler.step()
    return optimizer, steppers


def epoch_length(runner: Runner) -> Optional[int]:
    """Iterations of an epoch, or None where the loop counts iterations alone."""
    return len(runner.train_dataloader) if isinstance(runner.train_loop, EpochBasedTrainLoop) else None


def check_schedule(runner: Runner) -> None:
    """Refuses a schedule that part of the training would run without.

    That is one which reaches a learning rate of 0 before the training ends, or counts epochs in a training
    that has none.

    Args:
        runner: With a new optimizer and new schedulers, before its training.

    Raises:
        ScheduleError: Names the keys to set.
    """
    length = epoch_length(runner)
    for prefix, wrapper in optim_wrappers(runner).items():
        schedulers = schedulers_of(runner, prefix)
        for number, scheduler in enumerate(schedulers):
            if scheduler.by_epoch and length is None:
                raise ScheduleError(
                    f'param_scheduler.{prefix}{number} ({type(scheduler).__name__}) counts epochs, and this '
                    'training counts iterations, so it would never act: set by_epoch=False in it, and begin '
                    'and end in iterations')
        ends = {number: s.end * (length if s.by_epoch else 1) for number, s in enumerate(schedulers)
                if isinstance(s, LRSchedulerMixin)}
        if not ends or max(ends.values()) >= runner.max_iters or any(map(depends_on_metrics, schedulers)):
            continue
        settings, _ = rehearse(schedulers, wrapper, max(ends.values()), length)
        if all(group['lr'] < 1e-8 * group['initial_lr'] for group in settings.param_groups):
            last = max(ends, key=ends.get)
            total = 'max_epochs' if schedulers[last].by_epoch else 'max_iters'
            key, end = f'param_scheduler.{prefix}{last}.end', schedulers[last].end
            wanted = getattr(runner, total)
            raise ScheduleError(
                f'the learning rate is 0 from {key}={end} on, but train_cfg.{total}={wanted}, so the rest '
                f'would train nothing: set {key}={wanted} as well, or train_cfg.{total}={end}')
