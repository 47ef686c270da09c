"""Which encoder transfers best: trains and tests a grid of encoders, tasks, modes, label shares and seeds,
and reports figures, intervals, cost and pictures.

    python tools/benchmark_transfer.py configs/transfer/quick.py --data-root data/rooms

Called again, it goes on where it stopped, and two calls on one folder share the work.
"""
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.benchmark.estimate import print_estimate
from cmim_mm.benchmark.grid import Grid
from cmim_mm.benchmark.plan import plan_grid
from cmim_mm.benchmark.tool import EXPECTED, add_grid_arguments, carry_out, make_manifest, show_progress
from cmim_mm.engine.cli import ToolError, parse_args, run

TOOLS = Path(__file__).resolve().parent


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('grid', help='grid file, see configs/transfer/')
    parser.add_argument('--data-root', default='data/nyud', metavar='DIR',
                        help="data folder of the grid's tasks (%(default)s)")
    parser.add_argument('--pretrain-root', metavar='DIR',
                        help='data folder of the pretrainings whose encoder names none')
    add_grid_arguments(parser, 'work_dirs/transfer')
    parser.add_argument('--dry-run', action='store_true',
                        help='print the plan, what the networks cost and how long it may take; run nothing')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    try:
        if args.watch:
            return show_progress(args)
        grid = Grid(args.grid)
        runs, lists = plan_grid(grid, Path(args.work_dir), args.data_root, args.pretrain_root)
        if args.dry_run:
            folder = Path(args.work_dir).absolute()
            return print_estimate(runs, {str(folder / path): text for path, text in lists.items()}, args.jobs)
        manifest = make_manifest(
            Path(args.grid).stem, runs, dict.fromkeys(grid.tasks, grid.baseline), argv,
            held_out=grid.held_out, checkpoint=grid.checkpoint, from_scratch=grid.from_scratch)
        carry_out(args, manifest, {**lists, **{run.config_file: run.config for run in runs}}, TOOLS)
    except EXPECTED as error:
        raise ToolError(str(error)) from error


if __name__ == '__main__':
    run(main)
