"""Shows the images of a config's data set with their labels and depth, as the network gets them."""
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from mmengine.registry import DATASETS, init_default_scope
from rich.progress import track

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.engine.cli import (
    ToolError,
    add_config_arguments,
    check_data_roots,
    load_config,
    parse_args,
    run,
)
from cmim_mm.visualization import DenseVisualizer

#: What --mode original leaves out: all that draws random numbers.
RANDOM = ('Random', 'PhotoMetric')


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('--phase', choices=['train', 'val', 'test'], default='train')
    parser.add_argument(
        '--mode', choices=['transformed', 'original'], default='transformed',
        help='with all of the pipeline, or without its random transforms')
    parser.add_argument('--output-dir', metavar='DIR', help='folder to write the pictures to')
    parser.add_argument('--not-show', action='store_true', help='open no window')
    parser.add_argument('--show-interval', type=float, default=2, help='seconds between shown images')
    parser.add_argument('--show-number', type=int, metavar='N', help='how many images; all by default')
    parser.set_defaults(work_dir=None)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(make_parser(), argv)
    cfg = load_config(args)
    loader = f'{args.phase}_dataloader'
    if not cfg.get(loader):
        raise ToolError(f'{args.config} has no {loader} for --phase {args.phase}')
    check_data_roots(cfg, loader)
    if args.output_dir:
        try:
            Path(args.output_dir).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f'cannot be a folder ({error.strerror})'
            raise ToolError(f'--output-dir {args.output_dir}: {problem}') from error
    if args.mode == 'original':
        for dataset in dataset_cfgs({loader: cfg[loader]}):
            dataset['pipeline'] = [
                t for t in dataset['pipeline'] if not t['type'].rpartition('.')[2].startswith(RANDOM)]
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(cfg[loader].dataset)
    visualizer = DenseVisualizer()
    visualizer.dataset_meta = dataset.metainfo
    number = len(dataset) if args.show_number is None else min(args.show_number, len(dataset))
    for i in track(range(number), args.phase):
        item = dataset[i]
        sample = item['data_samples']
        image = np.ascontiguousarray(item['inputs'].to(torch.uint8).permute(1, 2, 0).numpy()[..., ::-1])
        name = Path(sample.img_path).stem
        out_file = str(Path(args.output_dir) / f'{i:04d}_{name}.png') if args.output_dir else None
        visualizer.add_datasample(
            name, image, sample, draw_pred=False, show=not args.not_show, wait_time=args.show_interval,
            out_file=out_file)
    print(f'{number} images of {args.phase}' + (f' in {args.output_dir}' if args.output_dir else ''))


if __name__ == '__main__':
    run(main)
