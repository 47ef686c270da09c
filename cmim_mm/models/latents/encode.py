"""Further forward passes of an encoder within one training step."""
from collections.abc import Mapping, Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ..cls_data_preprocessor import crop_and_flip
from ..features import Features


class View:
    """Another random crop and flip of images, (N, C, H, W) -> the same shape.

    Args:
        area_range: Least and largest share of the area that is cropped and resized, its width / height
            between 3/4 and 4/3 (Szegedy et al., arXiv 1409.4842); None shifts the whole image by up to an
            eighth of the shorter side, its border reflected.
        colour: s; a channel x of a normalized image becomes g x + b, g from [1 - s, 1 + s], b from [-s, s].

    Raises:
        ValueError: Arguments outside 0 < least <= largest <= 1 and 0 <= s <= 1.
    """

    def __init__(self, area_range: Optional[Sequence[float]] = None, colour: float = 0.0) -> None:
        if area_range is not None and not (len(area_range) == 2 and 0 < area_range[0] <= area_range[1] <= 1):
            raise ValueError(f'area_range={area_range}: expected two numbers, 0 < least <= largest <= 1')
        if not 0 <= colour <= 1:
            raise ValueError(f'colour={colour}: expected 0 <= colour <= 1')
        self.area_range, self.colour = area_range, colour

    def __call__(self, images: Tensor) -> Tensor:
        if self.area_range is None:
            view = crop_and_flip(images, max(1, min(images.shape[2:]) // 8), flip=True)
        else:
            view = _resized_crop(images, *self.area_range)
        if self.colour:
            gain, shift = (torch.rand(2, *images.shape[:2], 1, 1) * 2 - 1).mul_(self.colour).to(images)
            view = view * (1 + gain) + shift
        return view


def _resized_crop(images: Tensor, least: float, largest: float) -> Tensor:
    area, aspect, left, top, flip = torch.rand(5, len(images))
    area, aspect = least + (largest - least) * area, (4 / 3) ** (2 * aspect - 1)
    # Of the image's own in each direction, and no larger than that.
    width, height = (area * aspect).sqrt().clamp_max(1), (area / aspect).sqrt().clamp_max(1)
    zero = torch.zeros_like(area)
    theta = torch.stack([torch.where(flip < 0.5, -width, width), zero, (2 * left - 1) * (1 - width),
                         zero, height, (2 * top - 1) * (1 - height)], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False).to(images)
    return F.grid_sample(images, grid, padding_mode='border', align_corners=False)


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
