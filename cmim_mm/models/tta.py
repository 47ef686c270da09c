"""Test-time augmentation for depth."""

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.utils import SampleList

from cmim_mm.registry import MODELS


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
