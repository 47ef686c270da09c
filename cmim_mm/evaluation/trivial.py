"""The figures of predictors that never look at the image, on a config's own data and metrics.

A network that does not clearly beat them has learned nothing. Segmentation: every pixel is the majority
class of the training pixels. Depth: every pixel is the mean depth of the training pixels.
"""
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, init_default_scope
from mmengine.structures import BaseDataElement, PixelData
from rich.console import Console
from rich.progress import track

from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.datasets.layout import DataError


class TrivialBaseline(NamedTuple):
    """What was predicted everywhere, and the config's metrics of it."""
    predictor: str
    metrics: dict


class MajorityClass:
    """argmax_c of the number of training pixels of class c; pixels outside 0..C-1 (ignored) do not count."""
    ground_truth, prediction = 'gt_sem_seg', 'pred_sem_seg'

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.counts = np.zeros(len(classes), np.int64)

    def update(self, labels: torch.Tensor) -> None:
        """Counts labels of any shape."""
        labels = labels.numpy().ravel()
        labels = labels[(labels >= 0) & (labels < len(self.counts))]
        self.counts += np.bincount(labels, minlength=len(self.counts))

    @property
    def num_pixels(self) -> int:
        return int(self.counts.sum())

    @property
    def value(self) -> int:
        return int(self.counts.argmax())

    def __str__(self) -> str:
        return f'majority class ({self.classes[self.value]})'


class MeanDepth:
    """Mean of all valid training depths (metres, > 0)."""
    ground_truth, prediction = 'gt_depth_map', 'pred_depth_map'

    def __init__(self) -> None:
        self.total, self.num_pixels = 0.0, 0

    def update(self, depth: torch.Tensor) -> None:
        """Adds depths of any shape in metres; 0 is missing."""
        valid = depth[depth > 0]
        self.total += valid.double().sum().item()
        self.num_pixels += valid.numel()

    @property
    def value(self) -> float:
        return self.total / self.num_pixels

    def __str__(self) -> str:
        return f'mean depth ({self.value:.3f} m)'


def trivial_baseline(cfg: Config) -> TrivialBaseline:
    """Fits the constants on the training split and evaluates them on the test split.

    Both splits are read, one image at a time, through the pipeline of ``cfg.test_dataloader``: labels
    without augmentation. Which predictors apply follows from the ground truth found there.

    Args:
        cfg: A config with ``train_dataloader``, ``test_dataloader`` and ``test_evaluator``.

    Raises:
        DataError: The test pipeline loads no ground truth, or the training split has no valid pixel.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    test = DATASETS.build(cfg.test_dataloader.dataset)
    pipeline = next(dataset_cfgs({'test_dataloader': cfg.test_dataloader}))['pipeline']
    train = [DATASETS.build(dict(dataset, pipeline=pipeline, test_mode=True))
             for dataset in dataset_cfgs({'train_dataloader': cfg.train_dataloader})]
    predictors = [p for p in (MajorityClass(test.metainfo.get('classes', ())), MeanDepth())
                  if p.ground_truth in test[0]['data_samples']]
    if not predictors:
        raise DataError('test_dataloader: its pipeline loads neither gt_sem_seg nor gt_depth_map; put '
                        'LoadAnnotations or cmim_mm.LoadNYUDDepth into it')

    for sample in _samples(train, 'training split'):
        for predictor in predictors:
            predictor.update(sample.get(predictor.ground_truth).data)
    for predictor in predictors:
        if not predictor.num_pixels:
            raise DataError(f'{train[0].ann_file}: no pixel of these frames is valid in '
                            f'{predictor.ground_truth}. Check the data: python tools/misc/check_dataset.py')

    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = test.metainfo
    for sample in _samples([test], 'test split'):
        for predictor in predictors:
            constant = torch.full_like(sample.get(predictor.ground_truth).data, predictor.value)
            sample.set_data({predictor.prediction: PixelData(data=constant)})
        evaluator.process([sample])
    metrics = {k: float(v) for k, v in evaluator.evaluate(len(test)).items()}
    return TrivialBaseline(', '.join(map(str, predictors)), metrics)


def _samples(datasets: Sequence, title: str) -> Iterator[BaseDataElement]:
    """All data samples, with progress and ETA on stderr."""
    samples = (dataset[i]['data_samples'] for dataset in datasets for i in range(len(dataset)))
    return track(samples, title, total=sum(map(len, datasets)), console=Console(stderr=True))
