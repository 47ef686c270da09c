"""Scale-invariant logarithmic loss for metric depth."""
from typing import Optional

import torch
from torch import Tensor, nn

from cmim_mm.registry import MODELS


def valid_depth(depth: Tensor, min_depth: float = 0.0, max_depth: Optional[float] = None) -> Tensor:
    """Mask of the pixels with a measured depth: finite and min_depth < depth (<= max_depth).

    Zero, the mark of a missing measurement, is never valid, and neither are NaN and infinity.
    """
    mask = torch.isfinite(depth) & (depth > max(min_depth, 0.0))
    return mask if max_depth is None else mask & (depth <= max_depth)


@MODELS.register_module()
class SiLogLoss(nn.Module):
    r"""Scale-invariant log loss over the valid pixels of a batch.

    .. math:: L = w \sqrt{\overline{d^2} - \lambda \, \bar d^{\,2} + \epsilon}, \quad
              d = \log \hat y - \log y

    computed as ``var(d) + (1 - lambda) mean(d)^2``, which rounding cannot make negative. The epsilon
    keeps the gradient finite where prediction and ground truth agree. Without a valid pixel the loss
    is exactly zero and still part of the graph, so that every rank runs backward.

    Source: Eigen et al., 2014 (arXiv 1406.2283), eq. 4; with the square root as in BTS (arXiv 1907.10326).

    Args:
        variance_focus: lambda in [0, 1]; 1 ignores a global scale error entirely. Eigen has 0.5, BTS 0.85.
        min_depth: Ground truth up to this (metres) is ignored.
        max_depth: Ground truth beyond this (metres) is ignored; None for no limit.
        eps: Stands under the square root; predictions are clamped to it before the logarithm.
        loss_weight: w.
        loss_name: Key in the log; it must contain 'loss' to be summed.

    Raises:
        ValueError: ``variance_focus`` outside [0, 1], or shapes that differ.
    """

    def __init__(self,
                 variance_focus: float = 0.5,
                 min_depth: float = 1e-3,
                 max_depth: Optional[float] = None,
                 eps: float = 1e-6,
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_silog') -> None:
        super().__init__()
        if not 0 <= variance_focus <= 1:
            raise ValueError(f'SiLogLoss: variance_focus must be in [0, 1], got {variance_focus}')
        self.variance_focus = variance_focus
        self.min_depth = min_depth
        self.max_depth = max_depth
        self.eps = eps
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """pred, target: (N, 1, H, W) in metres; returns a scalar."""
        if pred.shape != target.shape:
            raise ValueError(f'SiLogLoss: prediction {tuple(pred.shape)} and ground truth '
                             f'{tuple(target.shape)} must have one shape')
        mask = valid_depth(target, self.min_depth, self.max_depth)
        count = mask.sum().clamp(min=1)
        # Invalid pixels become 1 on both sides before the logarithm: its gradient there stays finite.
        pred = torch.where(mask, pred.float(), 1.0).clamp(min=self.eps)
        target = torch.where(mask, target.float(), 1.0)
        d = pred.log() - target.log()
        mean = d.sum() / count
        variance = torch.where(mask, d - mean, 0.0).square().sum() / count
        loss = (variance + (1 - self.variance_focus) * mean.square() + self.eps).sqrt()
        return self.loss_weight * loss * mask.any()
