"""Packs a trained model: 1 bit a weight, everything that evaluation needs in one file.

    python tools/pack.py configs/nyud_seg_bnn.py work_dirs/nyud_seg_bnn/best.pth -o nyud_seg.cmim
    python tools/infer.py nyud_seg.cmim PHOTO.jpg --out painted
"""
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)

# isort: split
from cmim_mm.deploy.format import Packed, write
from cmim_mm.deploy.packing import pack_checkpoint
from cmim_mm.engine.cli import (
    ToolError,
    add_config_arguments,
    check_folder,
    format_table,
    load_config,
    parse_args,
    run,
)


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('-o', '--out', required=True, metavar='MODEL.cmim', help='file to write')
    parser.add_argument('--half', action='store_true', help='store what is not 1-bit in 16 bits')
    parser.add_argument('--part', metavar='NAME', help='pack this part of the model alone, e.g. backbone')
    parser.set_defaults(work_dir=None)
    return parser


def sizes(packed: Packed, size: int, float32: int) -> list[tuple[str, str]]:
    """Rows of the table that the tool prints."""
    bits = sum(packed.tensors[name].numel() for name in packed.bits)
    return [('file', f'{size:,}'), ('of it bits', f'{bits:,}'), ('float32 checkpoint', f'{float32:,}'),
            ('times smaller', f'{float32 / size:.1f}')]


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    out = Path(args.out)
    if out.suffix != '.cmim':
        raise ToolError(f'--out {out}: expected a name that ends with .cmim')
    if not Path(args.checkpoint).is_file():
        raise ToolError(f'{args.checkpoint}: there is no such checkpoint')
    check_folder(out.parent, '--out')
    packed, float32 = pack_checkpoint(load_config(args), args.checkpoint, args.half, args.part)
    size = write(packed, out)
    print(format_table([str(out), 'bytes'], sizes(packed, size, float32)))


if __name__ == '__main__':
    run(main)
