"""From what an evaluation left of each image to the figures of any (re)sample of images."""
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from cmim_mm.evaluation.depth_metric import depth_figures

SUMS = ('names', 'areas', 'classes', 'pixel', 'eigen', 'raw', 'places')


class Metric(NamedTuple):
    """How a figure is called and whether more of it is better."""
    title: str
    higher_is_better: bool


_DEPTH = {'rmse': ('RMSE (m)', False), 'abs_rel': ('AbsRel', False), 'd1': ('δ1', True), 'd2': ('δ2', True),
          'd3': ('δ3', True)}
_PROTOCOLS = {'pixel': 'pixel-pooled', 'eigen': 'Eigen', 'eigen_inpainted': 'Eigen, in-painted truth'}
#: The figures that reports show. The first one that a task has is its main one.
METRICS = {
    'mIoU': Metric('mIoU (%)', True),
    'aAcc': Metric('pixel accuracy (%)', True),
    'mAcc': Metric('mean accuracy (%)', True),
    **{f'{protocol}/{key}': Metric(f'{title}, {name}', better)
       for protocol, name in _PROTOCOLS.items() for key, (title, better) in _DEPTH.items()},
    'accuracy/top1': Metric('top-1 (%)', True),
    'accuracy/top5': Metric('top-5 (%)', True),
}


def shown_metrics(names: Iterable[str]) -> list[str]:
    """Those of :data:`METRICS` among ``names``, in its order; all of them where it has none."""
    names = list(names)
    return [name for name in METRICS if name in names] or names


def read_sums(path: Path) -> Optional[dict[str, np.ndarray]]:
    """What ``ImageSums`` wrote, without the painted images; None if the file has no sums or is not there."""
    if not path.is_file():
        return None
    with np.load(path) as file:
        sums = {key: file[key] for key in SUMS if key in file}
    return sums if len(sums) > 1 else None


def figures(sums: Mapping[str, np.ndarray], weights: Optional[np.ndarray] = None) -> dict[str, np.ndarray]:
    """Figures of B weightings of the n images.

    IoU_c = hit_c / (predicted_c + true_c - hit_c) and accuracies of pooled areas, averaged over the classes
    that occur, as in mmsegmentation; depth as in :mod:`cmim_mm.evaluation.depth_metric`: 'pixel' of pooled
    sums, 'eigen' the mean of the images' figures.

    Args:
        sums: What :func:`read_sums` gave.
        weights: (B, n), how often each image counts; by default every one once.

    Returns:
        Name -> (B,); NaN where nothing counts.
    """
    if weights is None:
        weights = np.ones((1, len(sums['names'])))
    found: dict[str, np.ndarray] = {}
    with np.errstate(divide='ignore', invalid='ignore'):
        if 'areas' in sums:
            found.update(_segmentation(sums['areas'], weights))
        if 'pixel' in sums:
            found.update(_named('pixel', [depth_figures(pooled) for pooled in weights @ sums['pixel']]))
            found.update(_eigen(sums['eigen'], sums['raw'], weights))
        if 'places' in sums:
            for k in (1, 5):
                right = (sums['places'] < k).astype(float)
                found[f'accuracy/top{k}'] = 100 * weights @ right / weights.sum(1)
    return found


def class_figures(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """IoU of each class in percent, (C,); NaN for a class that is neither true nor predicted anywhere."""
    hit, predicted, true = sums['areas'].astype(float).sum(0)
    with np.errstate(invalid='ignore'):
        return 100 * hit / (predicted + true - hit)


def _segmentation(areas: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    pooled = (weights @ areas.reshape(len(areas), -1)).reshape(len(weights), *areas.shape[1:])
    hit, predicted, true = pooled.transpose(1, 0, 2)
    return {'mIoU': 100 * _mean(hit / (predicted + true - hit)),
            'aAcc': 100 * hit.sum(1) / true.sum(1),
            'mAcc': 100 * _mean(hit / true)}


def _mean(values: np.ndarray) -> np.ndarray:
    """Over what is a number along the last axis."""
    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(-1) / known.sum(-1)


def _eigen(sums: np.ndarray, raw: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    valid = sums[:, 0] != 0
    rows = [depth_figures(image) for image in sums[valid]]
    name = 'eigen' if raw.all() else 'eigen_inpainted'
    if not rows:
        return _named(name, [dict.fromkeys(depth_figures(np.zeros(10)), math.nan)] * len(weights))
    weights = weights[:, valid]
    table = _named(name, rows)
    return {key: weights @ values / weights.sum(1) for key, values in table.items()}


def _named(prefix: str, rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    return {f'{prefix}/{key}': np.array([row[key] for row in rows]) for key in rows[0]}
