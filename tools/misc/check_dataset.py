"""Checks every frame of a data folder, or of all data sets of a config; exits with 1 if anything is wrong."""
import os
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Sequence
from typing import Optional

from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.utils import track_iter_progress

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.datasets.check import check_folder
from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.datasets.nyud import NYUDDataset
from cmim_mm.engine.cli import CfgOptions, ToolError, load_config, run


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('config', nargs='?', help='checks the lists and folders that this config uses')
    parser.add_argument('--data-root', metavar='DIR', help='the data folder; alone, all of it is checked')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE')
    return parser


def folders_of(cfg: Config) -> dict[str, dict[str, set[str]]]:
    """Data folder -> the lists, and the required keys, to check it for."""
    folders = defaultdict(lambda: {'lists': set(), 'required': set()})
    for node in dataset_cfgs(cfg):
        dataset = DATASETS.build(dict(node, pipeline=[], lazy_init=True))
        if isinstance(dataset, NYUDDataset):
            folders[dataset.data_root]['lists'].add(os.path.relpath(dataset.ann_file, dataset.data_root))
            folders[dataset.data_root]['required'].update(dataset.REQUIRED)
    return folders


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = build_parser()
    args = parser.parse_args(argv)
    if not (args.config or args.data_root):
        parser.error('give a CONFIG or --data-root DIR')
    folders = folders_of(load_config(args)) if args.config else {args.data_root: {}}
    if not folders:
        raise ToolError(f'{args.config}: no data set of this project to check')
    total = 0
    for root, what in folders.items():
        print(root, flush=True)
        faults = check_folder(root, track=track_iter_progress, **{k: sorted(v) for k, v in what.items()})
        print('', *faults, f'{root}: {len(faults)} faults', sep='\n')
        total += len(faults)
    if total:
        raise ToolError(f'{total} faults, see above')


if __name__ == '__main__':
    run(main)
