"""Progress of training, validation and test for a person who watches."""
import datetime
import os.path as osp
import sys
from collections.abc import Iterator
from typing import Optional

from mmengine.dist import master_only
from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner

from cmim_mm.engine.console import say
from cmim_mm.last_checkpoint import last_checkpoint
from cmim_mm.registry import HOOKS

_WIDTH = 24


@HOOKS.register_module()
class ConsoleProgressHook(Hook):
    """Prints where the run is, the time left, its losses, and the metrics of each validation.

    On a terminal one line is kept up to date; elsewhere a line comes as often as ``LoggerHook`` logs. The
    tools register it; with ``--verbose`` MMEngine's own lines take its place.
    """
    priority = 'VERY_LOW'

    @master_only
    def before_train(self, runner: Runner) -> None:
        loader = runner.train_dataloader
        images = getattr(loader.batch_sampler, 'batch_size', 1) * runner.world_size
        start = f', from iteration {runner.iter} on' if runner.iter else ''
        say(f'Training {runner.model_name}: {runner.max_iters} iterations of {images} images, of '
            f'{len(loader.dataset)}{start}. Log: {_relative(runner.log_dir)}')

    @master_only
    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        done = runner.iter + 1
        if sys.stdout.isatty() or done % _interval(runner) == 0 or done == runner.max_iters:
            say(_line('train', done, runner.max_iters, _state(runner)), transient=True)

    @master_only
    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                       outputs: Optional[dict] = None) -> None:
        self._count(runner, 'validate', batch_idx + 1, len(runner.val_dataloader))

    @master_only
    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                        outputs: Optional[dict] = None) -> None:
        self._count(runner, 'test', batch_idx + 1, len(runner.test_dataloader))

    @master_only
    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        say('Validation: ' + ', '.join(f'{name} {_number(value)}' for name, value in (metrics or {}).items()))

    @master_only
    def after_train(self, runner: Runner) -> None:
        last = last_checkpoint(runner.work_dir)
        best = runner.message_hub.runtime_info.get('best_ckpt')
        parts = [f'checkpoint: {_relative(last)}' if last else '', f'best: {_relative(best)}' if best else '']
        say('; '.join(['Training has ended', *filter(None, parts)]))

    def _count(self, runner: Runner, what: str, done: int, total: int) -> None:
        if sys.stdout.isatty() or done % _interval(runner) == 0:
            say(_line(what, done, total, []), transient=True)


def _interval(runner: Runner) -> int:
    return next((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), 50)


def _line(what: str, done: int, total: int, parts: list[str]) -> str:
    filled = _WIDTH * done // max(total, 1)
    bar = f'[{"#" * filled}{"." * (_WIDTH - filled)}] ' if sys.stdout.isatty() else ''
    return '  '.join([f'{what} {bar}{done:>{len(str(total))}}/{total}', *parts])


def _state(runner: Runner) -> list[str]:
    return [*_time_left(runner), *_scalars(runner)]


def _time_left(runner: Runner) -> Iterator[str]:
    if 'eta' in runner.message_hub.runtime_info:
        yield f'ETA {datetime.timedelta(seconds=int(runner.message_hub.get_info("eta")))}'


def _scalars(runner: Runner) -> Iterator[str]:
    """The mean of the last ten iterations of each loss and accuracy; the learning rate."""
    for key, history in runner.message_hub.log_scalars.items():
        name = key.partition('train/')[2]
        if name == 'lr':
            yield f'lr {history.current():.2e}'
        elif 'loss' in name or 'acc' in name:
            yield f'{name} {_number(history.mean(10))}'


def _number(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _relative(path: object) -> str:
    return osp.relpath(str(path))
