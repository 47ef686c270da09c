"""Predictions as files."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from cmim_mm.datasets.layout import encode_depth, write_png
from cmim_mm.registry import METRICS


@METRICS.register_module()
class PredictionDump(BaseMetric):
    """Saves every prediction as ``out_dir/<name of the image>.png`` and measures nothing.

    Labels (H, W) are 8-bit, counted as the data set stores them: from 1 where it reads with
    ``reduce_zero_label``. Depth is 16-bit millimetres. A sample that has both gets its depth under
    ``<name>_depth.png``. Each file appears whole or not at all.

    Args:
        out_dir: The folder; made if need be.
        collect_device: As in MMEngine's ``BaseMetric``.
    """

    def __init__(self, out_dir: str, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device, prefix='dump')
        self.out_dir = Path(out_dir)
        self.out_dir.mkdir(parents=True, exist_ok=True)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Writes the predictions of ``data_samples``."""
        for sample in data_samples:
            path = self.out_dir / f"{Path(sample['img_path']).stem}.png"
            if 'pred_sem_seg' in sample:
                labels = sample['pred_sem_seg']['data'].squeeze().to('cpu', torch.uint8)
                write_png(str(path), (labels + bool(sample.get('reduce_zero_label'))).numpy())
                path = path.with_name(f'{path.stem}_depth.png')
            if 'pred_depth_map' in sample:
                metres = sample['pred_depth_map']['data'].squeeze()
                write_png(str(path), encode_depth(metres.float().cpu().numpy()))
            self.results.append(sample['img_path'])  # MMEngine warns of a metric without results

    def compute_metrics(self, results: list) -> dict:
        """Nothing to add to the figures."""
        return {}
