"""Prints what the model of a config costs, layer by layer: bits, parameters, FLOPs, BOPs, OPs, bytes; with
--vary, the totals of each variant."""
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Optional

from mmengine.model import revert_sync_batchnorm

from cmim_mm.analysis import Cost, format_cost, format_totals, measure_times, model_cost
from cmim_mm.analysis.cost_table import STYLES
from cmim_mm.atomic import write_atomically
from cmim_mm.benchmark.variants import grid, parse_options
from cmim_mm.engine.cli import (
    ToolError,
    add_config_arguments,
    add_vary_argument,
    load_config,
    parse_args,
    run,
)
from cmim_mm.registry import MODELS


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    add_vary_argument(parser)
    parser.add_argument('--shape', type=int, nargs=2, default=[480, 640], metavar=('H', 'W'),
                        help='size of the image before input_scale (default: 480 640)')
    parser.add_argument('--time', action='store_true',
                        help='measure each layer of the packed model on the CPU, in milliseconds')
    parser.add_argument('--format', choices=list(STYLES), default='table')
    parser.add_argument('--out', help='write to this file instead of the terminal')
    return parser


def cost_of(args: Namespace, options: dict[str, str]) -> Cost:
    """What the config's model costs with further ``options``."""
    parsed = parse_options(options)
    cfg = load_config(Namespace(**{**vars(args), 'cfg_options': {**(args.cfg_options or {}), **parsed}}))
    if 'model' not in cfg:
        raise ToolError(f'{args.config} defines no model')
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    preprocessor = getattr(model, 'data_preprocessor', None)
    size = preprocessor.scaled_size(*args.shape) if hasattr(preprocessor, 'scaled_size') else args.shape
    cost = model_cost(model, (cfg.model.get('backbone', {}).get('in_channels', 3), *size))
    return measure_times(model, cost) if args.time else cost


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = make_parser()
    args = parse_args(parser, argv)
    if args.vary and args.time:
        parser.error('--time: is measured layer by layer, and --vary prints totals; leave one out')
    if args.vary:
        variants = grid([args.config], dict(args.vary))
        text = format_totals({variant.name: cost_of(args, variant.options) for variant in variants})
    else:
        text = format_cost(cost_of(args, {}), args.format)
    if args.out is None:
        print(text, end='')
        return
    write_atomically(text.encode(), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    run(main)
