"""What the tools that run grids share: arguments, manifest, the way from runs to report."""
import shlex
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from cmim_mm.engine.cli import CfgOptions, ToolError

from .grid import GridError
from .local import LocalExecutor
from .machine import data_fingerprint, machine, versions
from .plan import Run
from .report import write_report
from .run import Executor, Outcome, run_grid
from .store import FORMAT, Store, StoreError
from .watch import watch

#: Mistakes of the user.
EXPECTED = (GridError, StoreError)


def positive(text: str) -> int:
    """Argument type: a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"expected a whole number from 1, got '{text}'")
    return int(text)


def add_grid_arguments(parser: ArgumentParser, work_dir: str) -> None:
    """Adds what every tool that runs a grid takes."""
    parser.add_argument('--work-dir', default=work_dir, metavar='DIR',
                        help='folder of the grid (%(default)s)')
    parser.add_argument('--jobs', type=positive, default=1, metavar='N',
                        help='runs at a time; threads and GPUs are shared out (%(default)s)')
    parser.add_argument('--executor', choices=['local', 'slurm', 'ray'], default='local',
                        help="where runs are carried out; the last two need the extra of their name")
    parser.add_argument('--executor-options', nargs='+', action=CfgOptions, default={}, metavar='KEY=VALUE',
                        help='for Slurm as submitit names them (slurm_partition=gpu), for Ray for each task '
                             '(num_cpus=4)')
    parser.add_argument('--retry', action='store_true', help='try failed runs once more')
    parser.add_argument('--watch', action='store_true',
                        help='show the progress of a grid that runs elsewhere, and run nothing')


def make_executor(args: Namespace, tools: Path) -> Executor:
    """The executor that the arguments name.

    Raises:
        ToolError: Its package is not installed, or does not know an option.
    """
    if args.executor == 'local':
        return LocalExecutor(args.work_dir, str(tools), args.jobs)
    try:
        if args.executor == 'slurm':
            from .slurm import SlurmExecutor as Chosen
        else:
            from .ray import RayExecutor as Chosen
    except ImportError as error:
        raise ToolError(f"--executor {args.executor}: {error}. Install it: pip install "
                        f"'cmim_mm[{args.executor}]'") from error
    try:
        return Chosen(str(Path(args.work_dir).absolute()), str(tools), args.executor_options)
    except (NameError, TypeError, ValueError) as error:
        raise ToolError(f'--executor-options: {error}') from error


def make_manifest(title: str, runs: Sequence[Run], baselines: Mapping[str, str],
                  argv: Optional[Sequence[str]], **more: Any) -> dict[str, Any]:
    """What is written down before the first run."""
    roots = dict.fromkeys(root for run in runs for root in run.data)
    command = ['python', *(sys.argv if argv is None else [sys.argv[0], *argv])]
    return {'format': FORMAT, 'title': title, 'versions': versions(), 'machine': machine(),
            'command': shlex.join(command), 'baselines': dict(baselines), **more,
            'data': {root: data_fingerprint(root) for root in roots},
            'runs': {run.name: run.entry() for run in runs}}


def carry_out(args: Namespace, manifest: Mapping[str, Any], configs: Mapping[str, str], tools: Path) -> None:
    """Runs a grid and writes its report.

    Raises:
        ToolError: Some runs have no result; the report has the others.
    """
    store, executor = Store(args.work_dir), make_executor(args, tools)
    store.claim_folder(manifest, configs)
    done = len(store.records().keys() & manifest['runs'].keys())
    before = f', {done} have ended before' if done else ''
    print(f'{len(manifest["runs"])} runs in {args.work_dir}{before}', flush=True)
    if store.torn:
        print(f'{store.torn} lines of results.jsonl are cut short; their runs go on', flush=True)
    outcome = run_grid(store, {name: run['needs'] for name, run in manifest['runs'].items()},
                       executor, args.jobs, args.retry, say=lambda line: print(line, flush=True))
    print(write_report(store))
    _complain(outcome)


def show_progress(args: Namespace) -> None:
    """``--watch``."""
    watch(Store(args.work_dir))


def _complain(outcome: Outcome) -> None:
    if outcome.complete:
        return
    parts = [f'{len(names)} {what}: {", ".join(names[:3])}{" …" * (len(names) > 3)}' for names, what in (
        (outcome.failed, 'failed (--retry tries them again)'),
        (outcome.interrupted, 'were interrupted (the same command resumes them)'),
        (outcome.blocked, 'were not started, for want of what they need')) if names]
    raise ToolError('; '.join(parts))
