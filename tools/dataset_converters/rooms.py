"""Writes synthetic RGB-D rooms in NYUD-v2's layout."""
import argparse
import os
from collections.abc import Sequence
from typing import Optional

from cmim_mm.datasets.rooms import write_rooms
from cmim_mm.engine.cli import parse_args, run


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('-o', '--out', default='data/rooms', help='folder to write (default: data/rooms)')
    parser.add_argument('--num', type=int, default=500, help='number of scenes; every fifth is for testing')
    parser.add_argument('--size', type=int, nargs=2, default=(240, 320), metavar=('H', 'W'))
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    args = parse_args(parser, argv)
    write_rooms(args.out, args.num, tuple(args.size), args.seed, args.workers)
    print(f'{args.num} synthetic rooms in {args.out}')


if __name__ == '__main__':
    run(main)
