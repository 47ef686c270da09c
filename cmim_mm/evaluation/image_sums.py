"""What a data set's figures are sums of, image by image, as a file."""
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmseg.evaluation import IoUMetric

from cmim_mm.atomic import write_atomically
from cmim_mm.datasets.layout import encode_depth
from cmim_mm.registry import METRICS

from .accuracy import place
from .depth_metric import DepthEigenMetric, DepthPixelMetric

#: Maps that a painted image keeps.
PAINTED = ('gt_sem_seg', 'pred_sem_seg', 'gt_depth_map', 'pred_depth_map')


@METRICS.register_module()
class ImageSums(BaseMetric):
    """Writes, for each image, the sums that the metrics of its task pool; measures nothing itself.

    ``out_file`` (``.npz``), for n images in the data set's order:

    - ``names`` (n,): their file names, or positions where they have none;
    - ``areas`` (n, 3, C): for each class the pixels that are hit, predicted and true, i.e. the diagonal,
      column sums and row sums of the image's confusion matrix, all that IoU and accuracies need of it; NaN
      where a logit is;
      ``classes`` (C,) and ``palette`` (C, 3): what the data set calls and paints them;
    - ``pixel`` and ``eigen`` (n, 10): :func:`~cmim_mm.evaluation.depth_metric.depth_sums` of either
      protocol; ``raw`` (n,): whether the latter saw raw depth;
    - ``places`` (n,): the place of the true class among a classifier's scores;
    - ``KEY/NAME`` for the images to paint: ``image`` (H, W, 3) uint8 BGR, labels uint8, depth uint16 mm.

    Args:
        out_file: The file; appears whole or not at all.
        painted: Names (without ending) of the images whose maps are kept.
        collect_device: As in MMEngine's ``BaseMetric``.
    """

    def __init__(self, out_file: str, painted: Sequence[str] = (), collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device, prefix='image_sums')
        self.out_file = Path(out_file)
        self.painted = frozenset(painted)
        self.protocols = {'pixel': DepthPixelMetric(), 'eigen': DepthEigenMetric()}

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Reduces ``data_samples`` to their sums."""
        for sample in data_samples:
            name = Path(sample['img_path']).stem if 'img_path' in sample else str(len(self.results))
            result = {'names': np.array(name)}
            if 'pred_sem_seg' in sample:
                result['areas'] = self._areas(sample)
            if 'pred_depth_map' in sample:
                pred = sample['pred_depth_map']['data'].detach().cpu().float().squeeze(0)
                for key, protocol in self.protocols.items():
                    result[key], raw = protocol.image_sums(sample, pred)
                result['raw'] = np.array(raw)
            if 'pred_score' in sample:
                scores = sample['pred_score'].cpu().double().numpy()
                result['places'] = np.array(place(scores, int(sample['gt_label'])))
            if name in self.painted:
                result.update({f'{key}/{name}': value for key, value in _maps(sample).items()})
            self.results.append(result)

    def compute_metrics(self, results: 'list[dict[str, np.ndarray]]') -> dict:
        """Writes the file."""
        keys = dict.fromkeys(key for result in results for key in result)
        arrays = {}
        for key in keys:
            values = [result[key] for result in results if key in result]
            arrays[key] = values[0] if '/' in key else np.stack(values)
        if 'areas' in arrays:
            arrays['classes'] = np.array(self.dataset_meta['classes'])
            if self.dataset_meta.get('palette'):
                arrays['palette'] = np.array(self.dataset_meta['palette'], np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        write_atomically(buffer.getvalue(), self.out_file)
        return {}

    def _areas(self, sample: Mapping) -> np.ndarray:
        pred = sample['pred_sem_seg']['data'].squeeze(0)
        label = sample['gt_sem_seg']['data'].squeeze(0).to(pred)
        classes = len(self.dataset_meta['classes'])
        hit, _, predicted, true = IoUMetric.intersect_and_union(pred, label, classes, ignore_index=255)
        areas = np.stack([area.numpy() for area in (hit, predicted, true)])
        diverged = 'seg_logits' in sample and sample['seg_logits']['data'].isnan().any()
        return areas * np.float32('nan') if diverged else areas


def _maps(sample: Mapping) -> dict[str, np.ndarray]:
    maps = {'image': cv2.imread(sample['img_path'], cv2.IMREAD_COLOR)}
    for key in PAINTED:
        if key in sample:
            value = sample[key]['data'].squeeze(0).cpu().numpy()
            maps[key] = encode_depth(value) if 'depth' in key else value.astype(np.uint8)
    return maps
