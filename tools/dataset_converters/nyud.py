"""Converts the official NYUD-v2 file into a data folder; the same command goes on after an interruption."""
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.datasets.download import download
from cmim_mm.datasets.nyud_converter import NUM_BYTES, URL, convert
from cmim_mm.engine.cli import run


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('mat', help='nyu_depth_v2_labeled.mat')
    parser.add_argument('-o', '--out', default='data/nyud', help='folder to write (default: %(default)s)')
    parser.add_argument('--download', action='store_true', help='fetch the file first unless it is there')
    parser.add_argument('--url', default=URL, help='where to fetch it (default: %(default)s)')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = build_parser().parse_args(argv)
    if args.download:
        print(f'{args.url} -> {args.mat} (MiB)')
        download(args.url, args.mat, NUM_BYTES)
    print(f'{args.mat} -> {args.out} (frames)')
    done = convert(args.mat, args.out)
    print(f"{args.out}: train.txt {done['train']}, test.txt {done['test']} frames, {done['now']} written now")
    if done['bad_depth']:
        print(f"{done['bad_depth']} depth pixels were NaN or negative; they are stored as 0 (missing)")


if __name__ == '__main__':
    run(main)
