"""Test-time augmentation."""

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.utils import SampleList

from cmim_mm.registry import MODELS


@MODELS.register_module()
class SegTTAModel(BaseTTAModel):
    """Averages the class probabilities of an image's augmented views.

    As mmsegmentation's ``SegTTAModel``, which keeps the logits of one view; here ``seg_logits`` are the
    averaged probabilities (C, H, W), so that a NaN in any view is seen by the metric.
    """

    def merge_preds(self, data_samples_list: list[SampleList]) -> SampleList:
        """For each image the samples of its views -> one sample with ``pred_sem_seg`` (1, H, W)."""
        merged = []
        for views in data_samples_list:
            probabilities = sum(self._probabilities(view.seg_logits.data) for view in views) / len(views)
            labels = probabilities.argmax(0, keepdim=True) if len(probabilities) > 1 else \
                (probabilities > self.module.decode_head.threshold).to(probabilities)
            sample = views[0].new()
            sample.seg_logits = PixelData(data=probabilities)
            sample.pred_sem_seg = PixelData(data=labels)
            merged.append(sample)
        return merged

    @staticmethod
    def _probabilities(logits: torch.Tensor) -> torch.Tensor:
        # mmsegmentation has passed the one logit of a binary head through the sigmoid.
        return logits.softmax(0) if len(logits) > 1 else logits


@MODELS.register_module()
class DepthTTAModel(BaseTTAModel):
    """Averages the depth (metres) that the augmented views of an image predict.

    Each view comes from ``DepthEstimator``, which has already undone the flip named by the view's
    ``flip`` and ``flip_direction`` and resized to ``ori_shape``. The merged sample keeps the ground
    truth and the metainfo of the first view, so that view must not be the flipped one when the
    pipeline loads annotations before it flips.
    """

    def merge_preds(self, data_samples_list: list[SampleList]) -> SampleList:
        """For each image the samples of its views -> one sample with ``pred_depth_map`` (1, H, W)."""
        merged = []
        for views in data_samples_list:
            depth = torch.stack([view.pred_depth_map.data for view in views]).mean(dim=0)
            sample = views[0].new()
            sample.set_data(dict(pred_depth_map=PixelData(data=depth)))
            merged.append(sample)
        return merged
