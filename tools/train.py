"""Trains the model of a config."""
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.device import get_device

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.engine.cli import (
    ToolError,
    add_config_arguments,
    add_runner_arguments,
    build_runner,
    check_data_roots,
    load_config,
    parse_args,
    run,
)


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    add_runner_arguments(parser)
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='CHECKPOINT',
        help='go on from this checkpoint; without a value, from the latest one in the work folder, if any')
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision: bfloat16; float16 on a GPU without it')
    return parser


def set_resume(cfg: Config, checkpoint: str) -> None:
    """'auto' takes the latest checkpoint; before the first one, training starts as the config says."""
    if checkpoint == 'auto':
        cfg.resume = (Path(cfg.work_dir) / 'last_checkpoint').is_file()
        if cfg.resume:
            cfg.load_from = None
    else:
        cfg.resume, cfg.load_from = True, checkpoint


def set_amp(cfg: Config) -> None:
    """Swaps OptimWrapper for its mixed-precision form; bfloat16 has float32's exponents: no loss scale."""
    wrapper = cfg.optim_wrapper
    current = wrapper.get('type', 'OptimWrapper')
    if current.rpartition('.')[2] in ('AmpOptimWrapper', 'CPUAmpOptimWrapper'):
        return
    if current != 'OptimWrapper':
        raise ToolError(f"--amp needs optim_wrapper.type='OptimWrapper'; the config has '{current}'")
    if get_device() == 'cpu':
        wrapper.type = 'cmim_mm.CPUAmpOptimWrapper'
    elif get_device() == 'cuda' and not torch.cuda.is_bf16_supported():
        wrapper.update(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')
    else:
        wrapper.update(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=1.0)


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    cfg = load_config(args)
    if args.resume:
        set_resume(cfg, args.resume)
    if args.amp:
        set_amp(cfg)
    check_data_roots(cfg, 'train_dataloader', 'val_dataloader')
    build_runner(cfg, args.launcher, args.verbose).train()


if __name__ == '__main__':
    run(main)
