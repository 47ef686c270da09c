"""mIoU that does not pass a diverged network for a poor one."""
from collections.abc import Sequence

from mmseg.evaluation import IoUMetric as SegIoUMetric

from cmim_mm.registry import METRICS


@METRICS.register_module()
class IoUMetric(SegIoUMetric):
    """mmsegmentation's ``IoUMetric``, in which a NaN among an image's ``seg_logits`` makes every figure NaN.

    The class of a pixel is an argmax, which hides a NaN. Samples without logits count as they are.
    Arguments and figures (``mIoU``, ``aAcc``, ``mAcc``, …, in percent) as in mmsegmentation.
    """

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes ``pred_sem_seg``, ``gt_sem_seg`` and ``seg_logits`` (C, H, W) of each sample."""
        counted = len(self.results)
        super().process(data_batch, data_samples)
        for i, sample in enumerate(data_samples[:len(self.results) - counted], counted):
            if 'seg_logits' in sample and sample['seg_logits']['data'].isnan().any():
                self.results[i] = tuple(area * float('nan') for area in self.results[i])
