"""Multi-scale head for metric depth."""
from collections.abc import Sequence
from typing import Optional

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.utils import SampleList
from torch import Tensor, nn

from cmim_mm.registry import MODELS

from .distils import Distils
from .resized_sum import ResizedSum


@MODELS.register_module()
class DepthHead(Distils, BaseDecodeHead):
    """Feature pyramid with a bounded depth regression, for mmseg's ``DepthEstimator``.

    Each level passes a 1x1 lateral convolution, takes the coarser level's sum upsampled, and a 3x3
    convolution; the levels are summed at the finest one's size (stride 4 behind a ResNet), and::

        depth = min_depth + (max_depth - min_depth) * sigmoid(logit)

    The pyramid follows FPN (arXiv 1612.03144); levels of any size and number fit.

    Args:
        in_channels: Channels of the chosen feature maps.
        channels: Width of the pyramid.
        in_index: Which feature maps of the backbone or neck to take, finest first; all by default.
        min_depth: Lower bound of the prediction, metres.
        max_depth: Upper bound of the prediction, metres.
        dropout_ratio: Dropout before the last convolution.
        loss_decode: One loss or a list, each called as ``loss(pred, gt)`` with (N, 1, H, W) in metres.
        distill: A further loss, of the prediction against the depth of the model's teacher.
        kwargs: ``conv_cfg``, ``norm_cfg``, ``act_cfg``, ``align_corners``, ``init_cfg`` as in mmseg's
            heads. With a binary ``conv_cfg`` set ``act_cfg=dict(type='PReLU')``: behind a ReLU every
            binary input is +1.

    Raises:
        ValueError: Bounds that are not 0 < min_depth < max_depth, or ``in_channels`` and ``in_index`` of
            different length.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 channels: int = 64,
                 *,
                 in_index: Optional[Sequence[int]] = None,
                 min_depth: float = 1e-3,
                 max_depth: float = 10.0,
                 dropout_ratio: float = 0.0,
                 loss_decode: dict = dict(type='cmim_mm.SiLogLoss'),  # noqa: B006
                 distill: Optional[dict] = None,
                 **kwargs) -> None:
        in_index = list(range(len(in_channels))) if in_index is None else in_index
        if len(in_index) != len(in_channels):
            raise ValueError(f'DepthHead: in_channels {list(in_channels)} and in_index {list(in_index)} '
                             'must have one length')
        if not 0 < min_depth < max_depth:
            raise ValueError('DepthHead: expected 0 < min_depth < max_depth, in metres, got '
                             f'min_depth={min_depth}, max_depth={max_depth}')
        # The threshold only silences the base class, which takes one channel for binary segmentation.
        super().__init__(
            in_channels, channels, num_classes=1, threshold=0.0, in_index=in_index,
            input_transform='multiple_select', dropout_ratio=dropout_ratio, loss_decode=loss_decode,
            **kwargs)
        self.distill = None if distill is None else MODELS.build(distill)
        self.min_depth = min_depth
        self.max_depth = max_depth
        cfg = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg)
        self.lateral_convs = nn.ModuleList(
            ConvModule(c, channels, 1, act_cfg=None, **cfg) for c in self.in_channels)
        self.fpn_convs = nn.ModuleList(
            ConvModule(channels, channels, 3, padding=1, act_cfg=self.act_cfg, **cfg)
            for _ in self.in_channels)
        self.resized_sum = ResizedSum(align_corners=self.align_corners)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps (N, C_i, H_i, W_i) -> depth (N, 1, H_0, W_0) in metres."""
        features = self._transform_inputs(inputs)
        levels = [conv(x) for conv, x in zip(self.lateral_convs, features)]
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = self.resized_sum([levels[i - 1], levels[i]])
        out = [conv(x) for conv, x in zip(self.fpn_convs, levels)]
        logit = self.cls_seg(self.resized_sum(out))
        return self.min_depth + (self.max_depth - self.min_depth) * torch.sigmoid(logit.float())

    def taught(self, feats: Sequence[Tensor], prediction: Tensor) -> Tensor:
        """The teacher's depth (N, 1, H_0, W_0), resized to the prediction."""
        return self._resize(super().taught(feats, prediction).float(), prediction)

    def loss_by_feat(self, pred_depth: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of the prediction, resized to the ground truth, by the losses' names."""
        target = self._stack_batch_gt(batch_data_samples)
        pred = self._resize(pred_depth, target)
        modules = self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]
        losses: dict[str, Tensor] = {}
        for module in modules:
            losses[module.loss_name] = losses.get(module.loss_name, 0) + module(pred, target)
        return losses

    def _stack_batch_gt(self, batch_data_samples: SampleList) -> Tensor:
        if any('gt_depth_map' not in sample for sample in batch_data_samples):
            raise KeyError('DepthHead: a data sample has no gt_depth_map; put cmim_mm.LoadNYUDDepth and '
                           'cmim_mm.PackDenseInputs into the train pipeline')
        return torch.stack([sample.gt_depth_map.data for sample in batch_data_samples])

    def _resize(self, x: Tensor, like: Tensor) -> Tensor:
        if x.shape[2:] == like.shape[2:]:
            return x
        return resize(x, like.shape[2:], mode='bilinear', align_corners=self.align_corners, warning=False)
