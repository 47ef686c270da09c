"""Evaluates a checkpoint on the config's test data set; saves or paints its predictions where asked."""
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)

# isort: split
from mmseg.evaluation import IoUMetric as SegIoUMetric

from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.deploy.format import is_packed
from cmim_mm.deploy.labels import labels_alone, predicts_labels
from cmim_mm.engine.cli import (
    ToolError,
    add_config_arguments,
    add_runner_arguments,
    build_runner,
    check_data_roots,
    check_folder,
    format_table,
    load_config,
    parse_args,
    run,
)
from cmim_mm.evaluation import IoUMetric, PredictionDump
from cmim_mm.models.pretrained import check_weights


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file or URL; a packed model in place of '
                        'the config needs none')
    add_runner_arguments(parser)
    parser.add_argument(
        '--out', metavar='DIR', help='save predictions here: labels as the data set stores them (0 = '
        'unlabelled), depth as 16-bit millimetres')
    parser.add_argument('--show', action='store_true', help='show painted predictions in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='save painted predictions here')
    parser.add_argument(
        '--show-number', type=int, metavar='N', help='paint the first N images; all by default')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds between shown images')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation by the tta_pipeline')
    return parser


def set_checkpoint(cfg: Config, checkpoint: str) -> None:
    """Weights alone: a config that resumes its training does not resume it here."""
    if '://' not in checkpoint and not Path(checkpoint).is_file():
        there = sorted(p.name for p in Path(checkpoint).parent.glob('*.pth'))
        hint = f'; there are {", ".join(there)}' if there else ''
        raise ToolError(f'{checkpoint}: there is no such checkpoint{hint}')
    cfg.load_from, cfg.resume = checkpoint, False


def set_painting(cfg: Config, show: bool, show_dir: Optional[str], wait_time: float,
                 number: Optional[int] = None) -> None:
    """Puts a hook that paints each image in the place of the config's, which paints one in 50 batches."""
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise ToolError("--show and --show-dir need the config's default_hooks to have "
                        "visualization=dict(type='SegVisualizationHook'), as segmentation and depth do")
    if number is not None and number < 1:
        raise ToolError(f'--show-number {number}: expected at least 1')
    cfg.default_hooks.visualization = dict(
        type='cmim_mm.PaintHook', out_dir=show_dir, number=number, show=show, wait_time=wait_time)


def set_tta(cfg: Config) -> None:
    """Wraps the model in the config's ``tta_model`` and reads test images through ``tta_pipeline``."""
    missing = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if missing:
        raise ToolError(f'--tta needs {" and ".join(missing)} in the config; see configs/_base_/datasets/')
    for dataset in dataset_cfgs({'test_dataloader': cfg.test_dataloader}):
        dataset['pipeline'] = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def add_dump(cfg: Config, folder: str) -> None:
    """Adds the metric that saves predictions to what the config evaluates."""
    evaluator = cfg.test_evaluator
    metrics = list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]
    cfg.test_evaluator = [*metrics, {'type': 'cmim_mm.PredictionDump', 'out_dir': folder}]


def read_labels_alone(runner: Runner) -> bool:
    """Whether no metric may want a segmentor's logits."""
    return all(type(metric) in (SegIoUMetric, IoUMetric, PredictionDump)
               for metric in runner.test_evaluator.metrics)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = make_parser()
    args = parse_args(parser, argv)
    if args.checkpoint is None:
        if not is_packed(args.config):
            parser.error('the following arguments are required: checkpoint')
        args.checkpoint = args.config
    cfg = load_config(args)
    set_checkpoint(cfg, args.checkpoint)
    if args.show or args.show_dir:
        set_painting(cfg, args.show, args.show_dir, args.wait_time, args.show_number)
    if args.tta:
        set_tta(cfg)
    if args.out:
        add_dump(cfg, args.out)
    for path, argument in ((args.out, '--out'), (args.show_dir, '--show-dir')):
        if path:
            check_folder(path, argument)
    check_data_roots(cfg, 'test_dataloader')
    runner = build_runner(cfg, args.launcher, args.verbose, shown=['mmseg.evaluation'])
    check_weights(runner.model, args.checkpoint)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if is_packed(args.checkpoint) and predicts_labels(model) and read_labels_alone(runner):
        labels_alone(model)  # with --tta it is no segmentor, and needs logits to average
    metrics = runner.test()
    if is_main_process():
        print(format_table(['metric', 'value'], list(metrics.items())))


if __name__ == '__main__':
    run(main)
