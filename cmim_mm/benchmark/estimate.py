"""What a grid would run, what its networks cost, and about how long it takes, from a few timed steps."""
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.progress import track

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.engine.cli import build_runner, format_table

from .plan import TRIVIAL, Run
from .watch import format_seconds
from .work import image_cost

#: Timed steps behind one that is not, and batches tested.
STEPS = 3


class Estimate(NamedTuple):
    """Of one run: cost of its network, seconds of a training step and of the whole run."""
    cost: dict
    step: float
    total: float


def print_estimate(runs: Sequence[Run], lists: Mapping[str, str], jobs: int) -> None:
    """Prints a line for each kind of run, and the sum.

    Args:
        runs: Of the grid.
        lists: Their lists of images, which are not written yet: path -> text.
        jobs: Runs at a time.
    """
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        if run.kind != TRIVIAL:
            groups.setdefault((run.kind, run.encoder, run.task, run.mode), []).append(run)
    rows, seconds, unknown = [], 0.0, 0
    timed = track(groups.items(), 'timing a few steps of each', total=len(groups))
    for (kind, encoder, task, mode), group in timed:
        estimate = measure(group[0], lists)
        if estimate is None:
            unknown += len(group)
            figures = ['-'] * 5
        else:
            seconds += estimate.total * len(group)
            figures = [f'{estimate.cost["ops"]:.3g}', f'{estimate.cost["params"]:,}',
                       f'{estimate.cost["bytes"] / 1e6:.2f}', f'{estimate.step:.2f}',
                       format_seconds(estimate.total)]
        rows.append([encoder, task or kind, mode or '-', len(group), *figures])
    header = ['encoder', 'task', 'mode', 'runs', 'OPs', 'parameters', 'MB', 's a step', 'a run']
    print(format_table(header, rows))
    print(f'\n{len(runs)} runs; with {jobs} at a time about {format_seconds(seconds / jobs)}, if they do not '
          'slow each other down')
    if unknown:
        print(f'{unknown} of them cannot be timed: what they start from is not there yet, or they count '
              'epochs')


def measure(run: Run, lists: Mapping[str, str]) -> Optional[Estimate]:
    """Trains and tests a few batches; None where the run needs another's weights, or counts epochs."""
    if not run.steps:
        return None
    cfg = Config.fromstring(run.config, '.py')
    cfg.train_cfg.update(max_iters=STEPS + 1, val_begin=STEPS + 2)
    cfg.model.backbone.pop('init_cfg', None)
    cfg.default_hooks.checkpoint.update(interval=-1, save_best=None, save_last=False)
    cfg.log_level, cfg.experiment_name = 'ERROR', run.name.replace('/', '_')
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        _write_lists(cfg, lists, Path(folder))
        try:
            runner = build_runner(cfg, 'none', verbose=True)  # no lines of progress
            clock = _Clock()
            runner.register_hook(clock)
            runner.train()
        except (FileNotFoundError, CheckpointError):
            return None
        step = (clock.ticks[-1] - clock.ticks[0]) / STEPS
        tested = _test_seconds(runner) if cfg.get('test_dataloader') else 0
        return Estimate(image_cost(runner, cfg), step, step * run.steps + tested)


def _write_lists(cfg: Config, lists: Mapping[str, str], folder: Path) -> None:
    for dataset in dataset_cfgs(cfg):
        path = dataset.get('ann_file')
        if path in lists:
            dataset['ann_file'] = str(folder / Path(path).name)
            Path(dataset['ann_file']).write_text(lists[path])


def _test_seconds(runner: Runner) -> float:
    loader = runner.test_dataloader
    runner.model.eval()
    batches: Iterable = (batch for _, batch in zip(range(STEPS), loader))
    started = time.perf_counter()
    count = sum(len(runner.model.test_step(batch)) for batch in batches)
    return (time.perf_counter() - started) / count * len(loader.dataset)


class _Clock(Hook):
    """When each step ended."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        self.ticks.append(time.perf_counter())
