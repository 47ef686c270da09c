"""Mean absolute depth error."""
from typing import Optional

import torch
from torch import Tensor, nn

from cmim_mm.registry import MODELS

from .silog_loss import valid_depth


@MODELS.register_module()
class DepthL1Loss(nn.Module):
    """Mean of abs(prediction - ground truth) over the valid pixels of a batch, in metres.

    Exactly zero, and part of the graph, where no pixel is valid. The arguments are those of
    :class:`SiLogLoss`.
    """

    def __init__(self,
                 min_depth: float = 1e-3,
                 max_depth: Optional[float] = None,
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_l1') -> None:
        super().__init__()
        self.min_depth = min_depth
        self.max_depth = max_depth
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """pred, target: (N, 1, H, W) in metres; returns a scalar."""
        mask = valid_depth(target, self.min_depth, self.max_depth)
        error = torch.where(mask, pred.float() - target.float(), 0.0).abs()
        return self.loss_weight * error.sum() / mask.sum().clamp(min=1)
