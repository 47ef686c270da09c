"""Counts how far packed models are from the trained ones on a test data set.

    python benchmarks/exactness.py CONFIG CHECKPOINT --data-root data/nyud

Prints signs that flip per million (where rounding puts a sum on the other side of a threshold), predicted
classes that differ, the largest difference of a depth, and the figures of both models.
"""
from argparse import ArgumentParser
from collections.abc import Sequence
from copy import deepcopy
from itertools import islice
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)

# isort: split
import torch
from mmengine.runner import Runner, load_checkpoint
from rich.progress import track

from cmim_mm.deploy import load, pack_checkpoint, write
from cmim_mm.deploy.differences import Differences, compare
from cmim_mm.deploy.packing import build, for_inference
from cmim_mm.engine.cli import ToolError, add_config_arguments, format_table, load_config, parse_args, run


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--images', type=int, metavar='N', help='the first N images; all by default')
    parser.add_argument('--half', action='store_true', help='pack what is not 1-bit in 16 bits')
    other = parser.add_mutually_exclusive_group()
    other.add_argument('--bfloat16', action='store_true', help='compute what is not 1-bit in bfloat16')
    other.add_argument('--int8', action='store_true', help='the same, and the stem in int8')
    other.add_argument('--rounding', action='store_true', help='in place of the packed model the trained '
                        'one with the channels last: what another order of the same sums does by itself')
    parser.set_defaults(work_dir=None)
    return parser


def rows(found: Differences) -> list[tuple[str, str, str]]:
    """Rows of the table: what, the trained model's figure, the packed one's or the difference."""
    counts = [('images', f'{found.images}', f'{found.touched} with a flip'),
              ('signs', f'{found.signs:,}', f'{found.flips:,} flipped'),
              ('flips per million', '', f'{found.flips_per_million:.3g}')]
    if found.labels:
        counts.append(('predicted classes', f'{found.labels:,}', f'{found.changed:,} differ'))
        counts.append(('changes per million', '', f'{found.changed_per_million:.3g}'))
    else:
        counts.append(('largest difference, m', '', f'{found.depth:.3g}'))
    return counts + [(name, f'{value:.4f}', f'{found.packed[name]:.4f}')
                     for name, value in found.trained.items() if isinstance(value, Real)]


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    cfg = load_config(args)
    if args.images is not None and args.images < 1:
        raise ToolError(f'--images {args.images}: expected at least 1')
    cfg.test_dataloader.batch_size = 1
    loader = Runner.build_dataloader(cfg.test_dataloader)
    trained = build(dict(cfg, model=for_inference(cfg.model.to_dict())))
    load_checkpoint(trained, args.checkpoint, map_location='cpu')
    if args.rounding:
        other = deepcopy(trained).to(memory_format=torch.channels_last)
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder) / 'model.cmim'
            write(pack_checkpoint(cfg, args.checkpoint, args.half)[0], path)
            dtype = torch.bfloat16 if args.bfloat16 else torch.int8 if args.int8 else torch.float32
            other = load(path, dtype=dtype)
    number = min(args.images or len(loader), len(loader))
    batches = track(islice(loader, number), 'images', number)
    found = compare(trained, other, batches, cfg.test_evaluator, loader.dataset.metainfo)
    print(format_table(['', 'trained', 'other' if args.rounding else 'packed'], rows(found)))


if __name__ == '__main__':
    run(main)
