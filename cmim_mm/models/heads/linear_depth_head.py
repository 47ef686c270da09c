"""Metric depth by a linear map of the features."""
from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor

from cmim_mm.registry import MODELS

from .depth_head import DepthHead


@MODELS.register_module()
class LinearDepthHead(DepthHead):
    """``d = min_depth + (max_depth - min_depth) · sigmoid(w · x + b)`` at each position: a linear probe.

    x are the feature maps, resized to the finest and concatenated.

    Args:
        in_channels: Of the maps.
        in_index: Which of the backbone's maps those are.
        min_depth: Metres.
        max_depth: Metres.
        loss_decode: Loss, or several.
        **kwargs: As in mmsegmentation's ``BaseDecodeHead``.
    """

    def __init__(self, in_channels: Sequence[int], in_index: Sequence[int], loss_decode: dict,
                 min_depth: float = 1e-3, max_depth: float = 10.0, **kwargs) -> None:
        # Past DepthHead's own, which builds a pyramid.
        BaseDecodeHead.__init__(
            self, in_channels, sum(in_channels), num_classes=1, threshold=0.0, in_index=in_index,
            input_transform='resize_concat', dropout_ratio=0.0, loss_decode=loss_decode, **kwargs)
        self.distill = None
        self.min_depth, self.max_depth = min_depth, max_depth

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps (N, C_i, H_i, W_i) -> depth (N, 1, H_0, W_0) in metres."""
        logit = self.cls_seg(self._transform_inputs(inputs))
        return self.min_depth + (self.max_depth - self.min_depth) * torch.sigmoid(logit.float())
