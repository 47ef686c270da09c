"""The two protocols of depth evaluation on NYUD-v2. Their figures must not be mixed.

Both first reduce an image to sums over its valid pixels (float64, on the CPU),
with prediction p, truth d and e = ln p - ln d:

    abs_rel   mean |p - d| / d            rmse      sqrt(mean (p - d)^2)
    sq_rel    mean (p - d)^2 / d          rmse_log  sqrt(mean e^2)
    log10     mean |log10 p - log10 d|    silog     100 sqrt(mean e^2 - (mean e)^2)
    d1 d2 d3  share of pixels with max(p / d, d / p) < 1.25, 1.25^2, 1.25^3

silog is that of BTS and KITTI; mmsegmentation's own ``DepthMetric`` halves the
second term and leaves out the 100.
"""
import logging
import math
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from cmim_mm.registry import METRICS

MIN_DEPTH = 1e-3
#: One image: its :func:`depth_sums`, and whether the truth was raw depth.
ImageSums = tuple[np.ndarray, bool]


def depth_sums(pred: Tensor, target: Tensor) -> np.ndarray:
    """Sums over N valid pixels: N, then those the figures need; float64 of shape (10,).

    Args:
        pred: Positive predicted depth, (N,).
        target: Positive true depth, (N,).
    """
    p, d = pred.double(), target.double()
    diff, log = p - d, p.log() - d.log()
    ratio = torch.maximum(p / d, d / p)
    terms = [torch.ones_like(d), diff**2, diff.abs() / d, diff**2 / d, log**2, log, log.abs(),
             *((ratio < 1.25**k).double() for k in (1, 2, 3))]
    return torch.stack([t.sum() for t in terms]).numpy()


def depth_figures(sums: np.ndarray) -> dict[str, float]:
    """The named figures from (summed) :func:`depth_sums`; NaN if no pixel is valid."""
    n, *totals = sums.tolist()
    square, abs_rel, sq_rel, log_square, log, log_abs, d1, d2, d3 = (t / n if n else math.nan for t in totals)
    variance = log_square - log**2
    return {
        'rmse': math.sqrt(square), 'abs_rel': abs_rel, 'sq_rel': sq_rel, 'rmse_log': math.sqrt(log_square),
        'log10': log_abs / math.log(10), 'silog': 100 * math.sqrt(max(variance, 0.0)),
        'd1': d1, 'd2': d2, 'd3': d3}


class DepthMetric(BaseMetric):
    """What both protocols share.

    An image without a valid pixel is left out and counted in ``skipped``. A
    prediction below 1 mm counts as 1 mm. A NaN or an infinity anywhere in a prediction
    makes every figure NaN: a diverged network must not pass for a poor one.

    Only the sums of an image are kept, and gathered over ranks.
    """

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Reduces predictions ``pred_depth_map`` (1, H, W) to sums.

        Raises:
            ValueError: If a prediction's size is not that of its ground truth.
        """
        for sample in data_samples:
            pred = sample['pred_depth_map']['data'].detach().cpu().float().squeeze(0)
            sums, raw = self.image_sums(sample, pred)
            self.results.append((sums if pred.isfinite().all() else sums * math.nan, raw))

    def image_sums(self, sample: dict, pred: Tensor) -> ImageSums:
        raise NotImplementedError

    @staticmethod
    def truth(sample: dict, key: str, pred: Tensor) -> Tensor:
        """Ground truth (H, W) of a sample, of the prediction's size."""
        target = sample[key]['data'].cpu().float().squeeze(0)
        if target.shape != pred.shape:
            raise ValueError(f"{sample.get('img_path')}: the prediction is {tuple(pred.shape)}, {key} "
                             f'{tuple(target.shape)}; the model must return the size of the truth')
        return target

    def report(self, figures: dict[str, float], results: list[ImageSums]) -> dict[str, float]:
        """``figures`` with the number of images that had no valid pixel."""
        skipped = sum(not sums[0] for sums, _ in results)
        if skipped:
            print_log(f'{self.prefix}: {skipped} of {len(results)} images have no valid depth; left out',
                      logger='current', level=logging.WARNING)
        return dict(figures, skipped=skipped)


@METRICS.register_module()
class DepthPixelMetric(DepthMetric):
    """Pixel-pooled figures (``pixel/…``): every valid pixel of the set weighs the same.

    rmse = sqrt(sum of squares / count) over the whole set, as ASTMT and InvPT
    have it on the 795/654 split. Valid: 0 < d < inf; the in-painted depth, no crop.
    """
    default_prefix = 'pixel'

    def image_sums(self, sample: dict, pred: Tensor) -> ImageSums:
        target = self.truth(sample, 'gt_depth_map', pred)
        valid = (target > 0) & target.isfinite()
        return depth_sums(pred[valid].clamp(min=MIN_DEPTH), target[valid]), False

    def compute_metrics(self, results: list[ImageSums]) -> dict[str, float]:
        pooled = np.sum([sums for sums, _ in results], axis=0)
        return self.report(depth_figures(pooled), results)


@METRICS.register_module()
class DepthEigenMetric(DepthMetric):
    """The Eigen protocol as in BTS (``eigen/…``): the mean over images of each image's figure.

    Valid: 1e-3 < d < 10 m inside rows 45:471 and columns 41:601 of 480x640,
    scaled to other sizes; predictions are clipped to that range. The truth is raw
    depth where the sample has ``gt_raw_depth_map``. As soon as one image has
    in-painted depth only, the figures are called ``eigen_inpainted/…`` and are not
    comparable with published ones.
    """
    default_prefix = 'eigen'
    MAX_DEPTH = 10.0

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.raw_prefix = self.prefix

    def image_sums(self, sample: dict, pred: Tensor) -> ImageSums:
        raw = 'gt_raw_depth_map' in sample
        target = self.truth(sample, 'gt_raw_depth_map' if raw else 'gt_depth_map', pred)
        valid = torch.zeros_like(target, dtype=torch.bool)
        valid[eigen_crop(*target.shape)] = True
        valid &= (target > MIN_DEPTH) & (target < self.MAX_DEPTH)
        return depth_sums(pred[valid].clamp(MIN_DEPTH, self.MAX_DEPTH), target[valid]), raw

    def compute_metrics(self, results: list[ImageSums]) -> dict[str, float]:
        self.prefix = self.raw_prefix + ('' if all(raw for _, raw in results) else '_inpainted')
        figures = [depth_figures(sums) for sums, _ in results if sums[0]] or [depth_figures(np.zeros(10))]
        return self.report({k: float(np.mean([f[k] for f in figures])) for k in figures[0]}, results)


def eigen_crop(height: int, width: int) -> tuple:
    """Slices of rows 45:471 and columns 41:601 of a 480x640 image, scaled to (H, W); halves round up."""
    def scaled(edges, size, full):
        return slice(*(math.floor(edge * size / full + 0.5) for edge in edges))
    return scaled((45, 471), height, 480), scaled((41, 601), width, 640)
