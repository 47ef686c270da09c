"""Prints what the model of a config costs, layer by layer: bits, parameters, FLOPs, BOPs, OPs, bytes."""
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Optional

from mmengine.model import revert_sync_batchnorm

from cmim_mm.analysis import format_cost, model_cost
from cmim_mm.analysis.cost_table import STYLES
from cmim_mm.atomic import write_atomically
from cmim_mm.engine.cli import ToolError, add_config_arguments, load_config, parse_args, run
from cmim_mm.registry import MODELS


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('--shape', type=int, nargs=2, default=[480, 640], metavar=('H', 'W'),
                        help='size of the image before input_scale (default: 480 640)')
    parser.add_argument('--format', choices=list(STYLES), default='table')
    parser.add_argument('--out', help='write to this file instead of the terminal')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    cfg = load_config(args)
    if 'model' not in cfg:
        raise ToolError(f'{args.config} defines no model')
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    preprocessor = getattr(model, 'data_preprocessor', None)
    size = preprocessor.scaled_size(*args.shape) if hasattr(preprocessor, 'scaled_size') else args.shape
    channels = cfg.model.get('backbone', {}).get('in_channels', 3)
    text = format_cost(model_cost(model, (channels, *size)), args.format)
    if args.out is None:
        print(text, end='')
        return
    write_atomically(text.encode(), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    run(main)
