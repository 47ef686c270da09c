"""Trains variants of configs one after the other, or several at a time, and makes one table of their scores.

    python tools/compare.py configs/pretrain/r20_cifar100_quick.py --data-root data/cifar100 \
        --vary model.backbone.binarizer=BNN,IRNet,ReActNet,None --metrics accuracy/top1 --seeds 0 1

Each variant has a work folder of its own. Called again, it leaves out what has ended and resumes the rest.
"""
import os
import platform
import shlex
import subprocess
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.analysis.variants import Variant, grid, read_result, summarize, write_result
from cmim_mm.atomic import write_atomically
from cmim_mm.engine.cli import ToolError, add_vary_argument, format_table, run

TOOLS = Path(__file__).resolve().parent


def config_and_options(text: str) -> str:
    """Argument type: 'CONFIG' or 'CONFIG KEY=VALUE ...'."""
    config, *options = text.split() or ['']
    if not Path(config).is_file():
        raise ArgumentTypeError(f"{config or text!r}: there is no such config")
    if not all('=' in option for option in options):
        raise ArgumentTypeError(f"expected 'CONFIG KEY=VALUE ...', got '{text}'")
    return text


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('configs', nargs='+', metavar='CONFIG', type=config_and_options,
                        help='config file; with options of its own in quotes: "CONFIG KEY=VALUE KEY=VALUE"')
    add_vary_argument(parser)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], help='one training each (%(default)s)')
    parser.add_argument('--metrics', nargs='+', help='columns of the table; all that were measured')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare'), help='(%(default)s)')
    parser.add_argument('--data-root', metavar='DIR', help='the data folder of every data set of the configs')
    parser.add_argument('--jobs', type=int, default=1, help='trainings at a time (%(default)s)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='for all of them')
    return parser


def train(variant: Variant, args) -> Optional[dict]:
    """Trains one variant in its folder; its result, or None where the training failed."""
    folder = variant.folder(args.work_dir)
    result = read_result(folder)
    if result:
        print(f'{variant.name}, seed {variant.seed}: has ended before', flush=True)
        return result
    options = [*args.cfg_options, *(f'{key}={value}' for key, value in variant.options.items()),
               f'randomness.seed={variant.seed}']
    command = [str(TOOLS / 'train.py'), variant.config, '--work-dir', str(folder), '--resume',
               *(['--data-root', args.data_root] if args.data_root else []), '--cfg-options', *options]
    print(f'$ python {shlex.join(command)}', flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    threads = max(1, torch.get_num_threads() // args.jobs)
    started = time.monotonic()
    with open(folder / 'train.log', 'a') as log:
        status = subprocess.run([sys.executable, *command], stdout=log, stderr=subprocess.STDOUT,
                                env={'OMP_NUM_THREADS': str(threads), **os.environ}).returncode
    minutes = (time.monotonic() - started) / 60
    if status:
        print(f'{variant.name}, seed {variant.seed}: ended with status {status} after {minutes:.1f} minutes; '
              f'see {folder / "train.log"}', flush=True)
        return None
    result = write_result(folder, minutes)
    print(f'{variant.name}, seed {variant.seed}: {minutes:.1f} minutes', flush=True)
    return result


def machine() -> str:
    """What the figures were measured on."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f'{os.cpu_count()} CPU cores'
    return f'{device}, {platform.system()} {platform.machine()}, torch {torch.__version__}'


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = make_parser().parse_args(argv)
    variants = grid(args.configs, dict(args.vary), args.seeds)
    for config in {variant.config for variant in variants}:
        Config.fromfile(config)  # fails now rather than after hours
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda variant: train(variant, args), variants))

    measured = {metric: None for result in results if result for metric in result['metrics']}
    table = format_table(*summarize(variants, results, args.metrics or [*measured]))
    command = shlex.join(['python', 'tools/compare.py', *(sys.argv[1:] if argv is None else argv)])
    text = f'{machine()}; {args.jobs} at a time; seeds {args.seeds}\n\n{table}\n\n{command}\n'
    write_atomically(text.encode(), args.work_dir / 'table.md')
    print(f'\n{text}')
    if not all(results):
        raise ToolError(f'{results.count(None)} of {len(results)} trainings failed; '
                        'the same command tries them again')


if __name__ == '__main__':
    run(main)
