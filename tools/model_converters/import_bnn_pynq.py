"""Converts Xilinx/BNN-PYNQ's cnvW1A1 (CIFAR-10), bits and thresholds, to a checkpoint."""
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.atomic import write_atomically
from cmim_mm.engine.cli import ToolError, run
from cmim_mm.models.converters.bnn_pynq import read_cnv
from cmim_mm.publish import to_bytes
from cmim_mm.version import __version__

CONFIG = 'configs/foreign/bnn_cnv_cifar10.py'


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('folder', help='params/cifar10/cnvW1A1 of the public repository')
    parser.add_argument('-o', '--out', required=True, metavar='FILE', help='checkpoint to write')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = make_parser().parse_args(argv)
    folder, out = Path(args.folder), Path(args.out)
    if not folder.is_dir():
        raise ToolError(f'{folder}: there is no such folder; expected cnvW1A1 of Xilinx/BNN-PYNQ')
    if out.is_dir():
        raise ToolError(f'--out {out}: is a folder; name a file')
    state = read_cnv(folder)
    meta = dict(source=f'BNN-PYNQ {folder.name}', cmim_mm_version=__version__)
    write_atomically(to_bytes(dict(meta=meta, state_dict=state)), out)
    print(f'wrote {out}: {len(state)} entries; evaluate it by tools/test.py with this config:')
    print(CONFIG)


if __name__ == '__main__':
    run(main)
