"""Batches of images for a classifier, augmented on the device."""
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from cmim_mm.registry import MODELS


@MODELS.register_module()
class ClsDataPreProcessor(BaseDataPreprocessor):
    """Stacks, augments (in training) and normalizes: (x - mean) / std.

    The augmentation is that of CIFAR: a crop of the image's own size from the image padded by reflection,
    and a horizontal flip with probability 1/2, both for the whole batch in one gather. Its numbers come
    from torch's generator on the CPU: ``SeedHook`` makes them a function of (seed, iteration, rank), the
    same on any device. Data samples stay on the CPU; what the model needs of them moves in one piece.

    Args:
        mean: Of the channels, on the scale 0 to 255, RGB.
        std: The same.
        bgr_to_rgb: Whether the images come as BGR, as from files.
        crop_padding: Pixels of padding on each side before the crop; 0 crops nothing.
        flip: Whether to flip.
        non_blocking: As in MMEngine's ``BaseDataPreprocessor``.
    """

    def __init__(self,
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 bgr_to_rgb: bool = False,
                 crop_padding: int = 0,
                 flip: bool = False,
                 non_blocking: bool = True) -> None:
        super().__init__(non_blocking=non_blocking)
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.bgr_to_rgb = bgr_to_rgb
        self.crop_padding = crop_padding
        self.flip = flip

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """``inputs``, a list of uint8 (3, H, W), as one float tensor (N, 3, H, W) on the device.

        Raises:
            ValueError: The images differ in size.
        """
        inputs = data['inputs']
        if not isinstance(inputs, Tensor):
            sizes = {tuple(image.shape) for image in inputs}
            if len(sizes) > 1:
                raise ValueError(f'ClsDataPreProcessor: a batch has images of sizes {sorted(sizes)}; the '
                                 'pipeline must crop or resize them to one')
            inputs = torch.stack(list(inputs))
        inputs = self.cast_data(inputs)
        if training and (self.crop_padding or self.flip):
            inputs = crop_and_flip(inputs, self.crop_padding, self.flip)
        if self.bgr_to_rgb:
            inputs = inputs.flip(1)
        inputs = (inputs.float() - self.mean) / self.std
        return dict(inputs=inputs, data_samples=data.get('data_samples'))


def crop_and_flip(images: Tensor, padding: int, flip: bool) -> Tensor:
    """Crops (N, C, H, W) padded by reflection back to H x W at random places, and flips half of them.

    Args:
        images: The images.
        padding: Pixels on each side, less than H and W.
        flip: Whether to flip.
    """
    n, _, height, width = images.shape
    shift = torch.randint(-padding, padding + 1, (2, n, 1))
    flipped = torch.rand(n, 1) < 0.5 * flip
    rows = _reflect(torch.arange(height) + shift[0], height)
    columns = _reflect(torch.arange(width) + shift[1], width)
    columns = torch.where(flipped, columns.flip(1), columns)
    rows, columns = (index.to(images.device, non_blocking=True) for index in (rows, columns))
    image = torch.arange(n, device=images.device).view(n, 1, 1)
    picked = images[image, :, rows.unsqueeze(2), columns.unsqueeze(1)]  # (N, H, W, C)
    return picked.permute(0, 3, 1, 2).contiguous()


def _reflect(index: Tensor, size: int) -> Tensor:
    """Positions outside [0, size) mirrored at the border pixels."""
    return size - 1 - (size - 1 - index.abs()).abs()
