"""Writes a trained model for ONNX Runtime (1-bit layers simulated) or OpenVINO (real binary convolutions).

    python tools/export.py configs/nyud_seg_bnn.py work_dirs/nyud_seg_bnn/best.pth -o nyud_seg.onnx
    python tools/export.py nyud_seg.cmim -o nyud_seg.xml --size 480 640
"""
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)

# isort: split
from cmim_mm.deploy.exporting import export
from cmim_mm.deploy.format import is_packed, read
from cmim_mm.deploy.loading import fill
from cmim_mm.deploy.packing import build, pack_checkpoint
from cmim_mm.engine.cli import (
    ToolError,
    add_config_arguments,
    check_folder,
    format_table,
    load_config,
    parse_args,
    run,
)

#: Ending -> the extra that it needs.
EXTRAS = {'.onnx': 'onnx', '.xml': 'openvino'}


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    add_config_arguments(parser)
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file; left out behind a packed model in '
                        'place of the config')
    parser.add_argument('-o', '--out', required=True, metavar='MODEL.onnx|MODEL.xml', help='file to write')
    parser.add_argument('--size', type=int, nargs=2, default=[480, 640], metavar=('H', 'W'),
                        help='size of the images (default: 480 640)')
    parser.set_defaults(work_dir=None)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = make_parser()
    args = parse_args(parser, argv)
    out = Path(args.out)
    if out.suffix not in EXTRAS:
        raise ToolError(f'--out {out}: expected a name that ends with {" or ".join(EXTRAS)}')
    if min(args.size) < 1:
        raise ToolError(f'--size {args.size[0]} {args.size[1]}: expected two positive numbers')
    check_folder(out.parent, '--out')
    cfg = load_config(args)
    if is_packed(args.config):
        if args.checkpoint is not None:
            parser.error(f'{args.config} is a packed model and brings its weights; leave the checkpoint out')
        packed, config = read(args.config), cfg
    else:
        if args.checkpoint is None:
            parser.error('the following arguments are required: checkpoint')
        if not Path(args.checkpoint).is_file():
            raise ToolError(f'{args.checkpoint}: there is no such checkpoint')
        packed, _ = pack_checkpoint(cfg, args.checkpoint)
        config = packed.config
    model = fill(build(config), packed, args.checkpoint or args.config)
    model.dataset_meta = packed.meta.get('dataset_meta')
    try:
        exported = export(model, out, tuple(args.size))
    except ImportError as error:
        raise ToolError(f"--out {out} needs packages that are not installed ({error}): "
                        f"pip install 'cmim_mm[{EXTRAS[out.suffix]}]'") from error
    rows = [('bytes', f'{exported.size:,}'),
            *((name, ' x '.join(map(str, shape))) for name, shape in exported.outputs.items()),
            ('largest difference to the packed model', exported.difference),
            ('of values up to', exported.largest)]
    print(format_table([str(out), ''], rows))


if __name__ == '__main__':
    run(main)
