"""Batch norms and one value a channel: heads that pool an image to it, backbones that come down to it."""
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from cmim_mm.registry import MODELS

#: How torch's batch norms refuse a training batch with one value a channel.
REFUSAL = 'Expected more than 1 value per channel when training'


class OneValueError(ValueError):
    """A training batch comes down to one value a channel inside a backbone; says where and what to do."""

    def __init__(self, backbone: str, stage: str, image: Sequence[int]) -> None:
        height, width = image[-2:]
        super().__init__(
            f'{backbone}: {stage} makes one value a channel of the single image of {height}x{width} in this '
            'batch, and one value has no variance for a batch norm to train on. Take larger images, or two '
            'or more in a batch (train_dataloader.batch_size, and fewer train_cfg.micro_batches), or '
            'backbone.norm_eval=True')


class _OfOneValue:
    """Normalizes by the running statistics where a training batch has one value a channel.

    One value has no variance, and torch refuses it: a batch of 1 (or the last of an epoch, or a micro-batch)
    behind a global pooling. Such a batch is normalized as in evaluation, and leaves the statistics as they
    are. All other batches, parameters and keys are those of torch's batch norm.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


@MODELS.register_module()
class BatchNorm(_OfOneValue, nn.BatchNorm2d):
    """``BatchNorm2d`` that trains on one image, too, behind the pooling of ASPP, DeepLabV3+ and UPerNet."""


class BatchNorm1d(_OfOneValue, nn.BatchNorm1d):
    """``BatchNorm1d`` that trains on one image, too."""
