"""A resumed run is what its config says, or it does not start."""
from typing import Any, Optional

from mmengine.hooks import EMAHook, Hook
from mmengine.runner import BaseLoop, Runner

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.engine.bare_model import bare_model
from cmim_mm.engine.fingerprint import carried_parts, differences, fixed_parts
from cmim_mm.engine.schedule import (
    check_schedule,
    depends_on_metrics,
    epoch_length,
    optim_wrappers,
    rehearse,
    schedulers_of,
)
from cmim_mm.last_checkpoint import last_checkpoint
from cmim_mm.models.pretrained import lacking
from cmim_mm.registry import HOOKS

#: Name of the record in a checkpoint's ``meta``.
RECORD = 'run'


@HOOKS.register_module()
class ResumeHook(Hook):
    """Compares a checkpoint with the run that resumes it.

    Each checkpoint keeps a record of its run as plain data. A resumed run whose record is the same goes on
    bit by bit. Where it differs:

    - schedule, learning rate and the optimizer's other settings are those of the config now: the schedulers
      go to the checkpoint's iteration as in an uninterrupted run of this config. A longer or shorter
      training, accumulation, clipping, mixed precision, validation and paths may change as well;
    - another model, data set, batch size, seed, kind of loop or kind of optimizer is refused, with what
      differs; so is a checkpoint without the state to go on from, such as the best one's.

    What starts from weights alone (``load_from``) is refused where none of them fits, and says which do not.

    Raises:
        CheckpointError: Names the checkpoint, what differs and what to do.
        ScheduleError: The schedule does not last as long as the training.
    """
    priority = 'HIGHEST'  # nothing takes over a part of a checkpoint that is then refused

    def __init__(self) -> None:
        self.record: Optional[dict] = None

    def before_run(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop):  # a test or a validation
            return
        check_schedule(runner)
        self.record = {'fixed': fixed_parts(runner), 'carried': carried_parts(runner)}
        if runner._resume and runner._load_from is None:
            # MMEngine would take the path in the file, which is of another folder once this one has moved.
            found = last_checkpoint(runner.work_dir)
            runner._load_from = None if found is None else str(found)
            runner._resume = found is not None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint['meta'][RECORD] = self.record
        if 'param_schedulers' in checkpoint:
            checkpoint['param_schedulers'] = _plain_states(checkpoint['param_schedulers'])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self.record is None:
            return
        name = str(runner._load_from)
        if not runner._resume:
            _report_misfits(runner, checkpoint, name)
            return
        _refuse_incomplete(runner, checkpoint, name)
        saved = checkpoint['meta'].get(RECORD)
        _refuse_other_run(runner, checkpoint, name, self.record['fixed'], saved and saved['fixed'])
        _refuse_misfits(runner, checkpoint, name)
        if saved is None:
            runner.logger.warning(
                f'{name} has no record of its run (an older version saved it): its model and data could not '
                'be compared with the config; schedule and learning rate are those of the config')
        changed = differences(saved['carried'], self.record['carried']) if saved else []
        if saved is None or changed:
            _take_over_settings(runner, checkpoint, name, changed)
        runner.logger.info(f'resumed from {name}' + (
            f', with what the config says now: {"; ".join(changed)}' if changed else ''))
        if checkpoint['meta']['iter'] == runner.max_iters:
            runner.logger.info(
                f'{name} is the end of this training: {runner.max_iters} iterations are done. A longer one '
                'needs a larger train_cfg.max_iters, and the end of its param_scheduler with it')


def _new_run(name: str) -> str:
    return f'or start a new run from its weights: --cfg-options load_from={name}, without --resume'


def _refuse_incomplete(runner: Runner, checkpoint: dict, name: str) -> None:
    meta = checkpoint.get('meta', {})
    has = {'its weights': 'state_dict' in checkpoint,
           'its iteration': 'iter' in meta and 'epoch' in meta,
           "the optimizer's state": 'optimizer' in checkpoint,
           "the schedulers' state": 'param_schedulers' in checkpoint or not runner.param_schedulers,
           'the log': 'message_hub' in checkpoint}
    missing = [what for what, there in has.items() if not there]
    if missing:
        found = last_checkpoint(runner.work_dir)
        rather = f'{found}' if found and str(found) != name else 'a checkpoint named iter_N.pth'
        raise CheckpointError(
            f'{name} is made for loading, not for resuming: it has not {", ".join(missing)} (the best '
            "checkpoint never has, others where default_hooks.checkpoint says save_optimizer=False). Resume "
            f'from {rather}, {_new_run(name)}')


def _refuse_other_run(runner: Runner, checkpoint: dict, name: str, now: dict, before: Optional[dict]) -> None:
    meta = checkpoint['meta']
    found = differences(before, now) if before else []
    seed, wanted = meta.get('seed'), runner._randomness_cfg.get('seed')
    if None not in (seed, wanted) and seed != wanted:
        found.append(f'randomness.seed is {wanted} and was {seed}')
    if 'ema_state_dict' in checkpoint and not any(isinstance(hook, EMAHook) for hook in runner.hooks):
        found.append('custom_hooks has no EMAHook and had one, so the weights there are averages')
    if meta['iter'] > runner.max_iters:
        found.append(f'the training ends at iteration {runner.max_iters} and was at {meta["iter"]}')
    if found:
        more = f' and {len(found) - 6} more' if len(found) > 6 else ''
        raise CheckpointError(
            f'{name} is of another run: {"; ".join(found[:6])}{more}. Resume with the values that it had, '
            f'{_new_run(name)}')


def _refuse_misfits(runner: Runner, checkpoint: dict, name: str) -> None:
    problems = _misfits(runner, checkpoint)
    if problems:
        raise CheckpointError(f'{name} does not fit the model of this config: {"; ".join(problems)}. Resume '
                              f'with the config that it was trained with, {_new_run(name)}')


def _report_misfits(runner: Runner, checkpoint: dict, name: str) -> None:
    problems = _misfits(runner, checkpoint)
    if not bare_model(runner).state_dict().keys() & checkpoint.get('state_dict', {}).keys():
        raise CheckpointError(
            f'load_from={name}: none of its weights fits the {type(bare_model(runner)).__name__} of this '
            f'config: {"; ".join(problems)}. For an encoder alone use model.backbone.init_cfg')
    if problems:
        runner.logger.warning(f'load_from={name}: not all of the model starts from it: {"; ".join(problems)}')


def _misfits(runner: Runner, checkpoint: dict) -> list[str]:
    """What the model has and the checkpoint lacks; shapes of parameters alone, as memories take theirs."""
    model = bare_model(runner)
    parameters = {key for key, _ in model.named_parameters()}
    wanted = {key: value if key in parameters else value.new_empty(0)
              for key, value in model.state_dict().items()}
    return lacking(wanted, checkpoint.get('state_dict', {}))


def _take_over_settings(runner: Runner, checkpoint: dict, name: str, changed: list[str]) -> None:
    """Puts the schedulers and settings that this config has at the checkpoint's iteration into it."""
    states = {}
    for prefix, wrapper in optim_wrappers(runner).items():
        schedulers = schedulers_of(runner, prefix)
        if any(map(depends_on_metrics, schedulers)):
            if not changed:
                return
            raise CheckpointError(
                f'{name}: {"; ".join(changed)}, but a scheduler here follows past validations, which cannot '
                f'be repeated. Resume with the values that it had, {_new_run(name)}')
        settings, rehearsed = rehearse(schedulers, wrapper, checkpoint['meta']['iter'], epoch_length(runner))
        saved = checkpoint['optimizer'][prefix[:-1]] if prefix else checkpoint['optimizer']
        if 'base_param_settings' in saved:
            saved['base_param_settings'].update(settings.param_groups.pop())
        saved['param_groups'] = [{**now, 'params': group['params']}
                                 for group, now in zip(saved['param_groups'], settings.param_groups)]
        states[prefix[:-1]] = [scheduler.state_dict() for scheduler in rehearsed]
    checkpoint['param_schedulers'] = _plain_states(states.get('', states))


def _plain_states(states: Any) -> Any:
    """The states of schedulers without their functions (OneCycleLR's), which no checkpoint may hold."""
    if isinstance(states, list):
        return [{key: value for key, value in state.items() if not callable(value)} for state in states]
    return {name: _plain_states(group) for name, group in states.items()}
