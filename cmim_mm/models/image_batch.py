"""Images on their way to a network, with the channels last in memory, as networks here want them.

An image is (C, H, W); those of this project's data sets are views of (H, W, C) memory, as decoders write it.
torch's own ``stack``, ``pad`` and indexing of such views bring the channels to the front.
"""
from collections.abc import Sequence

import torch
from torch import Tensor


def stack_images(images: Sequence[Tensor]) -> Tensor:
    """N images (C, H, W) as one batch (N, C, H, W), channels last."""
    return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)


def reverse_channels(images: Tensor) -> Tensor:
    """BGR (..., C, H, W) to RGB, and the reverse; channels last."""
    return torch.stack(images.unbind(-3)[::-1], -1).movedim(-1, -3)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(x - mean) / std of (..., C, H, W) with the channels last.

    Args:
        images: Of any type.
        mean: (C, 1, 1).
        std: (C, 1, 1).
    """
    # One row of pixels each: three numbers at a time would take seven times as long.
    mean, std = (value.expand(-1, 1, images.shape[-1]).permute(1, 2, 0).contiguous().permute(2, 0, 1)
                 for value in (mean, std))
    return (images.float() - mean) / std
