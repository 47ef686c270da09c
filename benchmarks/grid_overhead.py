"""What a grid costs beside its runs: a call of tools/benchmark_transfer.py against the same configs by hand.

By hand is ``tools/train.py`` and then ``tools/test.py`` of every run's config. The two take turns, and every
second round begins with the other one, so that a machine that slows down hits both alike:

    python benchmarks/grid_overhead.py --data-root data/nyud --steps 700

Processor time is that of all processes that a way started; other load on the machine changes it less than the
clock. Each run should take two minutes or more.
"""
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import torch

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
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
    """Seconds by the clock and of the processors."""
    wall: float
    cpu: float


def adopt_orphans() -> None:
    """Makes this process wait for its children's children: the server that the grid's runs fork from."""
    subreaper = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
    if ctypes.CDLL(None, use_errno=True).prctl(subreaper, 1, 0, 0, 0):
        raise ToolError(f'prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(ctypes.get_errno())}')


def timed(commands: Sequence[Sequence[str]], threads: int = 1) -> Spent:
    """Runs commands one after another, with all that they start.

    Raises:
        ToolError: One fails.
    """
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'OMP_NUM_THREADS': str(threads)}
    before, wall = _cpu_of_children(), 0.0
    for command in commands:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, start_new_session=True)
        try:
            output, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        wall += time.perf_counter() - started
        _wait_for_group(process.pid)
        if process.returncode:
            raise ToolError(f'{" ".join(command)}: failed\n{output[-2000:]}')
    return Spent(wall, _cpu_of_children() - before)


def _wait_for_group(number: int) -> None:
    while True:
        try:
            os.waitpid(-number, 0)
        except ChildProcessError:
            return


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tool(name: str, *arguments: object) -> list[str]:
    """The command line of one of ``tools/``."""
    return [sys.executable, str(REPOSITORY / 'tools' / name), *map(str, arguments)]


def by_grid(grid: Path, data_root: str, folder: Path, threads: int) -> tuple[Spent, list[float]]:
    """One call in a new folder; what it took, and the seconds of each run as the store has them."""
    command = tool('benchmark_transfer.py', grid, '--data-root', data_root, '--work-dir', folder)
    spent = timed([command], threads)
    records = map(json.loads, (folder / 'results.jsonl').read_text().splitlines())
    return spent, [record['seconds'] for record in records if 'curves' in record]


def by_hand(configs: Sequence[Path], steps: int, folder: Path, threads: int) -> Spent:
    """Training and test of each config."""
    commands = []
    for i, config in enumerate(configs):
        where = folder / str(i)
        commands += [tool('train.py', config, '--work-dir', where),
                     tool('test.py', config, where / f'iter_{steps}.pth', '--work-dir', where / 'test')]
    return timed(commands, threads)


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--config', default=str(REPOSITORY / 'configs/nyud_seg_bnn_quick.py'),
                        help='config of every run (%(default)s)')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='its data folder')
    parser.add_argument('--steps', type=positive, default=700, metavar='N',
                        help='of a training (%(default)s)')
    parser.add_argument('--runs', type=positive, default=2, metavar='N', help='of the grid (%(default)s)')
    parser.add_argument('--rounds', type=positive, default=2, metavar='N', help='of both ways (%(default)s)')
    parser.add_argument('--threads', type=positive, default=1, metavar='N', help='of torch (%(default)s)')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    adopt_orphans()
    torch.set_num_threads(args.threads)
    options = {'train_cfg.max_iters': args.steps, 'default_hooks.checkpoint.interval': args.steps,
               'train_dataloader.num_workers': 0, 'train_dataloader.persistent_workers': False,
               'test_dataloader.num_workers': 0, 'test_dataloader.persistent_workers': False}
    rows, runs, totals = [], [], {'grid': [], 'by hand': []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid = folder / 'overhead.py'
        grid.write_text(GRID.format(config=str(Path(args.config).resolve()), seeds=[*range(args.runs)],
                                    options=options))
        for number in range(args.rounds):
            for way in ('grid', 'by hand') if number % 2 == 0 else ('by hand', 'grid'):
                where = folder / f'{number} {way}'
                if way == 'grid':
                    spent, seconds = by_grid(grid, args.data_root, where, args.threads)
                    runs.append(spent.wall - sum(seconds))
                else:
                    configs = sorted(folder.glob('0 grid/runs/task/*/*/*/seed*/config.py'))
                    spent = by_hand(configs, args.steps, where, args.threads)
                totals[way].append(spent)
                rows.append([number + 1, way, f'{spent.wall:.1f}', f'{spent.cpu:.1f}'])
                print(*rows[-1], sep='  ', file=sys.stderr, flush=True)
    grid_sum, hand_sum = (Spent(*map(sum, zip(*totals[way]))) for way in ('grid', 'by hand'))
    rows.append(['all', 'grid / by hand', *(f'{a / b - 1:+.2%}' for a, b in zip(grid_sum, hand_sum))])
    print(format_table(['round', 'way', 'clock, s', 'CPU, s'], rows))
    print(f'\n{args.runs} runs of {args.steps} steps of {Path(args.config).name} in each call; of its time '
          f'{max(runs):.1f} s were beside them. {machine(torch.device("cpu"))}')


if __name__ == '__main__':
    run(main)
