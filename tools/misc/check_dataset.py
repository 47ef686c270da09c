"""Checks every frame of a data folder, or of all data sets of a config; exits with 1 if anything is wrong."""
import os
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Optional

from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.utils import track_iter_progress

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.datasets import ImageFolder
from cmim_mm.datasets.check import check_folder, check_images
from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.datasets.nyud import NYUDDataset
from cmim_mm.datasets.survey import Survey
from cmim_mm.engine.cli import CfgOptions, ToolError, load_config, run


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('config', nargs='?', help='checks the lists and folders that this config uses')
    parser.add_argument('--data-root', metavar='DIR', help='the data folder; alone, all of it is checked')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE')
    return parser


def datasets_of(cfg: Config) -> Iterator:
    """The data sets of a config, without their pipelines."""
    for node in dataset_cfgs(cfg):
        if 'pipeline' in node:
            yield DATASETS.build(dict(node, pipeline=[], lazy_init=True))
        else:
            yield DATASETS.build(node)  # CIFAR: reads, and so checks, everything at once


def check_layouts(datasets: Sequence[NYUDDataset]) -> int:
    """Checks data folders for what these data sets need of them; prints, and returns the number of faults."""
    folders = defaultdict(lambda: {'lists': set(), 'required': set()})
    for dataset in datasets:
        folders[dataset.data_root]['lists'].add(os.path.relpath(dataset.ann_file, dataset.data_root))
        folders[dataset.data_root]['required'].update(dataset.REQUIRED)
    return sum(check_layout(root, **{key: sorted(names) for key, names in what.items()})
               for root, what in folders.items())


def check_layout(root: str, **what: Sequence[str]) -> int:
    """Checks one data folder; prints, and returns the number of faults."""
    print(root, flush=True)
    survey = Survey()
    faults = check_folder(root, track=track_iter_progress, survey=survey, **what)
    warnings = [f'warning: {root}: {text}.' for text in survey.warnings()]
    print('', *faults, *warnings, f'{root}: {len(faults)} faults, {len(warnings)} warnings', sep='\n')
    return len(faults)


def check_class_folders(dataset: ImageFolder) -> int:
    """Decodes all images of a split; prints, and returns the number of faults."""
    dataset.full_init()
    folder = os.path.join(dataset.data_root, dataset.split)
    print(folder, flush=True)
    faults = check_images(track_iter_progress(
        [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]))
    print('', *faults, f'{folder}: {len(faults)} faults', sep='\n')
    return len(faults)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = build_parser()
    args = parser.parse_args(argv)
    if not (args.config or args.data_root):
        parser.error('give a CONFIG or --data-root DIR')
    if args.config:
        datasets = list(datasets_of(load_config(args)))
        layouts = [d for d in datasets if isinstance(d, NYUDDataset)]
        folders = {(d.data_root, d.split): d for d in datasets if isinstance(d, ImageFolder)}
        if not datasets:
            raise ToolError(f'{args.config}: no data set of this project to check')
        total = check_layouts(layouts) + sum(map(check_class_folders, folders.values()))
    else:
        total = check_layout(args.data_root)
    if total:
        raise ToolError(f'{total} faults, see above')


if __name__ == '__main__':
    run(main)
