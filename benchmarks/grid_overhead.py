"""What a grid costs beside its runs: a call of tools/benchmark_transfer.py against the same configs by hand.

By hand is ``tools/train.py`` and then ``tools/test.py`` of every run's config. Both ways are on at once and
take turns of a few seconds, all processes of one stopped while the other goes on, so that whatever else
the machine does hits both alike:

    python benchmarks/grid_overhead.py --data-root data/nyud --steps 700

Each run should take two minutes or more.
"""
import ctypes
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional

import torch

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.benchmark.grid import Grid
from cmim_mm.benchmark.plan import TRANSFER, plan_grid
from cmim_mm.benchmark.tool import positive
from cmim_mm.engine.cli import ToolError, format_table, parse_args, run

try:
    from benchmarks.train_step import machine
except ImportError:  # run as a script: its own folder is on the path
    from train_step import machine

REPOSITORY = Path(__file__).resolve().parents[1]
GRID = '''encoders = dict(scratch=dict())
tasks = dict(task=dict(config={config!r}))
seeds = {seeds!r}
options = {options!r}
'''


class Spent(NamedTuple):
    """Seconds by the clock, in its own turns, and of the processors, of a way with all its processes."""
    wall: float
    cpu: float


class Way:
    """A shell command that goes on in turns, with all its processes; what it prints goes to ``log``."""

    def __init__(self, command: str, log: Path, threads: int) -> None:
        self.command, self.log, self.wall, self.cpu, self.status, self.over = command, log, 0.0, 0.0, 0, False
        environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'OMP_NUM_THREADS': str(threads)}
        with open(log, 'w') as file:
            self.process = subprocess.Popen(['bash', '-c', command], stdout=file, stderr=subprocess.STDOUT,
                                            env=environment, start_new_session=True)
        self.group = self.process.pid
        os.killpg(self.group, signal.SIGSTOP)

    def turn(self, seconds: float) -> None:
        """Goes on for a while, or to its end.

        Raises:
            ToolError: It fails.
        """
        started = time.perf_counter()
        os.killpg(self.group, signal.SIGCONT)
        while not self.over and time.perf_counter() - started < seconds:
            time.sleep(0.05)
            self._reap()
        self.wall += time.perf_counter() - started
        if self.status:
            raise ToolError(f'{self.command}: failed\n{self.log.read_text()[-2000:]}')
        if not self.over:
            os.killpg(self.group, signal.SIGSTOP)

    def _reap(self) -> None:
        try:
            while True:
                pid, status, usage = os.wait4(-self.group, os.WNOHANG)
                if not pid:
                    return
                self.cpu += usage.ru_utime + usage.ru_stime
                if pid == self.group:
                    self.status = status
        except ChildProcessError:
            self.over = True

    def kill(self) -> None:
        """Ends all that is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes this process wait for its children's children: the server that the grid's runs fork from."""
    subreaper = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
    if ctypes.CDLL(None, use_errno=True).prctl(subreaper, 1, 0, 0, 0):
        raise ToolError(f'prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(ctypes.get_errno())}')


def alternate(commands: Mapping[str, str], folder: Path, threads: int = 1,
              seconds: float = 3.0) -> dict[str, Spent]:
    """Runs commands in turns of so many seconds until all have ended; their logs go to ``folder``."""
    ways = {name: Way(command, folder / f'{name}.log', threads) for name, command in commands.items()}
    try:
        while not all(way.over for way in ways.values()):
            for way in ways.values():
                if not way.over:
                    way.turn(seconds)
    finally:
        for way in ways.values():
            way.kill()
    return {name: Spent(way.wall, way.cpu) for name, way in ways.items()}


def tool(name: str, *arguments: object) -> str:
    """The command line of one of ``tools/``."""
    return shlex.join([sys.executable, str(REPOSITORY / 'tools' / name), *map(str, arguments)])


def by_hand(configs: Sequence[Path], steps: int, folder: Path) -> str:
    """Training and test of each config."""
    commands = []
    for i, config in enumerate(configs):
        where = folder / str(i)
        commands += [tool('train.py', config, '--work-dir', where),
                     tool('test.py', config, where / f'iter_{steps}.pth', '--work-dir', where / 'test')]
    return ' && '.join(commands)


def write_configs(grid: Path, data_root: str, folder: Path) -> list[Path]:
    """Those of the grid's trainings."""
    runs, _ = plan_grid(Grid(str(grid)), folder, data_root)
    configs = []
    for training in (one for one in runs if one.kind == TRANSFER):
        configs.append(folder / f'{len(configs)}.py')
        configs[-1].write_text(training.config)
    return configs


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--config', default=str(REPOSITORY / 'configs/nyud_seg_bnn_quick.py'),
                        help='config of every run (%(default)s)')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='its data folder')
    parser.add_argument('--steps', type=positive, default=700, metavar='N',
                        help='of a training (%(default)s)')
    parser.add_argument('--runs', type=positive, default=2, metavar='N', help='of the grid (%(default)s)')
    parser.add_argument('--threads', type=positive, default=1, metavar='N', help='of torch (%(default)s)')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    adopt_orphans()
    torch.set_num_threads(args.threads)
    options = {'train_cfg.max_iters': args.steps, 'default_hooks.checkpoint.interval': args.steps,
               'train_dataloader.num_workers': 0, 'train_dataloader.persistent_workers': False,
               'test_dataloader.num_workers': 0, 'test_dataloader.persistent_workers': False}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid, store = folder / 'overhead.py', folder / 'grid'
        grid.write_text(GRID.format(config=str(Path(args.config).resolve()), seeds=[*range(args.runs)],
                                    options=options))
        configs = write_configs(grid, args.data_root, folder)
        spent = alternate({
            'grid': tool('benchmark_transfer.py', grid, '--data-root', args.data_root, '--work-dir', store),
            'by hand': by_hand(configs, args.steps, folder / 'hand')}, folder, args.threads)
    rows = [[way, f'{one.wall:.1f}', f'{one.cpu:.1f}'] for way, one in spent.items()]
    rows.append(['overhead', *(f'{a / b - 1:+.2%}' for a, b in zip(spent['grid'], spent['by hand']))])
    print(format_table(['way', 'clock, s', 'CPU, s'], rows))
    print(f'\n{args.runs} runs of {args.steps} steps of {Path(args.config).name}; '
          f'{machine(torch.device("cpu"))}')


if __name__ == '__main__':
    run(main)
