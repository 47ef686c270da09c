"""Accuracy of a classifier."""
import math
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from cmim_mm.registry import METRICS


@METRICS.register_module()
class TopKAccuracy(BaseMetric):
    """Share of images, in percent, whose true class is among the k with the highest scores.

    ``accuracy/top1``, ``accuracy/top5``. Classes of equal score count in the order of their indices, as
    in argmax; a NaN among the scores of any image makes every figure NaN. What is kept of an image is one
    number, the place of its true class, gathered over ranks, where the images that a distributed sampler
    repeats at its end are dropped: so the figures are exact.

    Args:
        topk: The ks.
        **kwargs: As in MMEngine's ``BaseMetric``.
    """
    default_prefix = 'accuracy'

    def __init__(self, topk: Sequence[int] = (1, 5), **kwargs) -> None:
        super().__init__(**kwargs)
        if not topk or min(topk) < 1:
            raise ValueError(f'TopKAccuracy: topk={topk}, expected positive integers')
        self.topk = tuple(topk)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes ``pred_score`` (K,) and ``gt_label`` (1,) of each sample.

        Raises:
            KeyError: A sample has no ``gt_label``.
            ValueError: A label is not one of the K classes.
        """
        for sample in data_samples:
            if 'gt_label' not in sample:
                name = sample.get('img_path', sample.get('sample_idx'))
                raise KeyError(f'TopKAccuracy: image {name} has no gt_label; use a data set with labels')
            scores, label = sample['pred_score'].cpu().double().numpy(), int(sample['gt_label'])
            if not 0 <= label < len(scores):
                raise ValueError(f'TopKAccuracy: label {label} with a model of {len(scores)} classes; set '
                                 'model.decode_head.num_classes to the number of classes of the data')
            self.results.append(math.nan if np.isnan(scores).any() else place(scores, label))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        places = np.asarray(results)
        if np.isnan(places).any():
            return {f'top{k}': math.nan for k in self.topk}
        return {f'top{k}': 100 * float((places < k).mean()) for k in self.topk}


def place(scores: np.ndarray, label: int) -> int:
    """How many classes come before ``label`` in scores (K,); K if its score is not a number."""
    if not np.isfinite(scores[label]):
        return len(scores)
    before = scores > scores[label]
    before[:label] |= scores[:label] == scores[label]
    return int((before | np.isnan(scores)).sum())
