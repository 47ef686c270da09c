"""A teacher's feature maps, regressed."""
from collections.abc import Sequence
from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from cmim_mm.registry import MODELS

from ..keep_format import keep_format
from ..necks.embedding import standardize_columns


@MODELS.register_module()
class FeatureRegressionHead(BaseModule):
    r"""Adds :math:`w\,\frac1L\sum_l \mathrm{mean}\,(1 - \cos(W_l x_l, t_l))` over images and positions.

    :math:`x_l` is a map of the encoder, :math:`t_l` one of the teacher's, :math:`W_l` a trained 1x1
    convolution; both maps are first pooled to the coarser one's size. Distillation of features (FitNets,
    Romero et al., arXiv 1412.6550) without a contrast: the control for CMIM with the same teacher.

    Args:
        in_channels: Channels of each :math:`x_l`.
        teacher_channels: Channels of each :math:`t_l`.
        teacher_indices: Which of the teacher's maps, one for each.
        in_index: Which of the encoder's feature maps, one for each; None takes the binary activations of the
            backbone's taps.
        standardize: Takes the mean over the batch off each of the teacher's channels and divides by its
            deviation; else what all positions share outweighs what tells them apart.
        loss_weight: w.
        init_cfg: As in MMEngine's ``BaseModule``.

    Raises:
        ValueError: Arguments of different lengths, or, in training, maps that do not fit them or no teacher.
    """
    needs_teacher = True

    def __init__(self, in_channels: Sequence[int], teacher_channels: Sequence[int],
                 teacher_indices: Sequence[int] = (-1, ), in_index: Optional[Sequence[int]] = (-1, ),
                 standardize: bool = True, loss_weight: float = 1.0,
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(init_cfg)
        given = in_channels, teacher_channels, teacher_indices, in_index
        lengths = {len(x) for x in given if x is not None}
        if len(lengths) > 1:
            raise ValueError('FeatureRegressionHead: in_channels, teacher_channels, teacher_indices and '
                             f'in_index must have one length, got {given}')
        self.in_index = in_index
        self.teacher_indices = tuple(teacher_indices)
        self.standardize = standardize
        self.loss_weight = loss_weight
        self.convs = nn.ModuleList(nn.Conv2d(*widths, 1) for widths in zip(in_channels, teacher_channels))

    def loss(self, feats: Sequence[Tensor], data_samples: Sequence[BaseDataElement],
             train_cfg: Optional[dict] = None) -> dict[str, Tensor]:
        """``loss_regression``."""
        if getattr(feats, 'teacher', None) is None:
            raise ValueError('FeatureRegressionHead: no teacher ran; set model.teacher')
        maps = [binary for _, binary in feats.pairs] if self.in_index is None else \
            [feats[i] for i in self.in_index]
        if len(maps) != len(self.convs):
            raise ValueError(f'FeatureRegressionHead: in_channels is for {len(self.convs)} maps, but the '
                             f'backbone has {len(maps)} taps')
        losses = [self._distance(conv, x, feats.teacher.features[i])
                  for conv, x, i in zip(self.convs, maps, self.teacher_indices)]
        return dict(loss_regression=self.loss_weight * sum(losses) / len(losses))

    def _distance(self, conv: nn.Conv2d, x: Tensor, target: Tensor) -> Tensor:
        size = [min(sides) for sides in zip(x.shape[2:], target.shape[2:])]
        x, target = (keep_format(y) if list(y.shape[2:]) == size else F.adaptive_avg_pool2d(y, size)
                     for y in (x, target))
        x = conv(x).float().permute(0, 2, 3, 1)
        target = target.float().permute(0, 2, 3, 1)
        if self.standardize:
            target = standardize_columns(target.flatten(0, 2)).view_as(target)
        return 1 - torch.cosine_similarity(x, target, dim=-1).mean()
