"""Trains variants of configs and compares them: the short way to a grid of one dimension.

    python tools/compare.py configs/pretrain/r20_cifar100_quick.py --data-root data/cifar100 \
        --vary model.backbone.binarizer=BNN,IRNet,ReActNet,None --metrics accuracy/top1 --seeds 0 1

Called again, it leaves out what has ended and resumes the rest. The first variant is the baseline. A config
can have options of its own, and a label for the tables:

    python tools/compare.py A.py "high rate: A.py optim_wrapper.optimizer.lr=4e-3"
"""
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from mmengine.config import Config

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.benchmark.tool import EXPECTED, add_grid_arguments, carry_out, make_manifest, show_progress
from cmim_mm.benchmark.variants import Variant, grid, parse_options, plan_variants, split_config
from cmim_mm.engine.cli import CfgOptions, ToolError, add_vary_argument, check_data_roots, load_config, run

TOOLS = Path(__file__).resolve().parent


def config_and_options(text: str) -> str:
    """Argument type: as ``split_config`` reads it."""
    try:
        _, config, _ = split_config(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    if not Path(config).is_file():
        raise ArgumentTypeError(f"'{config}': there is no such config. Form: '[LABEL: ]CONFIG KEY=VALUE'")
    return text


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('configs', nargs='+', metavar='CONFIG', type=config_and_options,
                        help='config file; in quotes with options of its own, and with what reports call it: '
                             '"LABEL: CONFIG KEY=VALUE KEY=VALUE"')
    add_vary_argument(parser)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], help='one training each (%(default)s)')
    parser.add_argument('--metrics', nargs='+', help='columns of the table; all that are usual')
    parser.add_argument('--data-root', metavar='DIR', help='the data folder of every data set of the configs')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, default={}, metavar='KEY=VALUE',
                        help='for all of them')
    add_grid_arguments(parser, 'work_dirs/compare')
    return parser


def variant_config(variant: Variant, args: Namespace) -> Config:
    """The config of a variant, everything merged, its data found."""
    options = {**args.cfg_options, **parse_options(variant.options)}
    cfg = load_config(Namespace(config=variant.config, cfg_options=options, data_root=args.data_root))
    cfg.pop('work_dir')
    check_data_roots(cfg, 'train_dataloader', 'val_dataloader')
    return cfg


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = make_parser().parse_args(argv)
    try:
        if args.watch:
            return show_progress(args)
        variants = grid(args.configs, dict(args.vary))
        runs = plan_variants([(variant, variant_config(variant, args)) for variant in variants], args.seeds)
        baselines: dict[str, str] = {}
        for one in runs:
            baselines.setdefault(one.task, one.encoder)
        manifest = make_manifest('compare', runs, baselines, argv, metrics=args.metrics)
        carry_out(args, manifest, {one.config_file: one.config for one in runs}, TOOLS)
    except EXPECTED as error:
        raise ToolError(str(error)) from error


if __name__ == '__main__':
    run(main)
