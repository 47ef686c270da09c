"""Converts a public checkpoint of IR-Net, RBNN, ReCU, ReActNet or AdaBin; the last line names the config that
takes it."""
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.engine.cli import ToolError, run
from cmim_mm.models.converters import NETWORKS, import_checkpoint, save_imported

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/foreign'


def make_parser() -> ArgumentParser:
    networks = '; '.join(f'{method}: {", ".join(dict.fromkeys(name for name, _ in known))}'
                         for method, known in NETWORKS.items())
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help="the file that the public code's training saved")
    parser.add_argument('--method', required=True, choices=list(NETWORKS))
    parser.add_argument('--network', required=True, help=networks)
    parser.add_argument('--leave-out', nargs='+', default=[], metavar='NAME',
                        help='names in keys that other tools left in the file, e.g. total_ops total_params')
    parser.add_argument('-o', '--out', required=True, metavar='FILE', help='checkpoint to write')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = make_parser().parse_args(argv)
    source, out = Path(args.checkpoint), Path(args.out)
    if not source.is_file():
        raise ToolError(f'{source}: there is no such checkpoint')
    if out.is_dir() or (out.exists() and out.samefile(source)):
        raise ToolError(f'--out {out}: is {"a folder" if out.is_dir() else "the checkpoint to read"}; name '
                        'another file')
    try:
        imported = import_checkpoint(source, args.method, args.network, CONFIGS, args.leave_out)
    except ValueError as error:
        raise ToolError(str(error)) from error
    save_imported(imported, out, f'{args.method} {args.network}: {source.name}')
    for key, value in imported.record.items():
        print(f'{source}: {key} {value if isinstance(value, str) else f"{value:g}"}')
    if imported.left_out:
        print(f'left out, as they change nothing: {", ".join(imported.left_out)}')
    print(f'wrote {out}: {len(imported.state)} entries; evaluate it by tools/test.py with this config:')
    print(os.path.relpath(imported.config))


if __name__ == '__main__':
    run(main)
