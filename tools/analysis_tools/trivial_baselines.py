"""Prints what predicting the same everywhere scores on the config's data and metrics: the majority class of
the training pixels, or their mean depth."""
import json
import logging
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Optional

from mmengine.logging import MMLogger

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.atomic import write_atomically
from cmim_mm.engine.cli import (
    add_config_arguments,
    check_data_roots,
    format_table,
    load_config,
    parse_args,
    run,
)
from cmim_mm.evaluation.trivial import trivial_baseline


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('--out', metavar='FILE', help='also write the figures to this file, as JSON')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    cfg = load_config(args)
    check_data_roots(cfg, 'train_dataloader', 'test_dataloader')
    # The metrics' own tables, one row a class, say nothing about a constant.
    MMLogger.get_instance('trivial_baselines', log_level=logging.ERROR)
    predictor, metrics = trivial_baseline(cfg)
    print(format_table(['metric', predictor], list(metrics.items())))
    if args.out:
        figures = json.dumps({'predictor': predictor, 'metrics': metrics}, indent=2)
        write_atomically(figures.encode(), args.out)


if __name__ == '__main__':
    run(main)
