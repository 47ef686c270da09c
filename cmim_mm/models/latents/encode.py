"""Further forward passes of an encoder within one training step."""
from collections.abc import Mapping
from typing import Optional

from torch import Tensor, nn
from torch.func import functional_call

from ..cls_data_preprocessor import crop_and_flip
from ..features import Features


def second_view(images: Tensor) -> Tensor:
    """Another random crop (padded by reflection, an eighth of the shorter side) and flip of (N, C, H, W)."""
    return crop_and_flip(images, max(1, min(images.shape[2:]) // 8), flip=True)


def encode_again(encoder: nn.Module, images: Tensor,
                 parameters: Optional[Mapping[str, Tensor]] = None) -> Features:
    """A forward pass in training mode that leaves the encoder's buffers (running statistics) as they are.

    Args:
        encoder: A backbone with taps.
        images: (N, C, H, W).
        parameters: Stand in for the encoder's own of those names.
    """
    buffers = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    return functional_call(encoder, {**buffers, **(parameters or {})}, (images, ))
