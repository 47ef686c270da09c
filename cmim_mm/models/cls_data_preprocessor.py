"""Batches of images for a classifier, augmented on the device."""
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from cmim_mm.registry import MODELS

from .image_batch import normalize, reverse_channels, stack_images


@MODELS.register_module()
class ClsDataPreProcessor(BaseDataPreprocessor):
    """Stacks, augments (in training) and normalizes: (x - mean) / std.

    The augmentation is that of CIFAR: a crop of the image's own size from the padded image, and a
    horizontal flip with probability 1/2, both for the whole batch in one gather. Its numbers come
    from torch's generator on the CPU: ``SeedHook`` makes them a function of (seed, iteration, rank), the
    same on any device. Data samples stay on the CPU; what the model needs of them moves in one piece.

    Args:
        mean: Of the channels, on the scale 0 to 255, RGB.
        std: The same.
        bgr_to_rgb: Whether the images come as BGR, as from files.
        crop_padding: Pixels of padding on each side before the crop; 0 crops nothing.
        pad_mode: 'reflect' (what CMIM's code does), or 'constant' for black, as the recipes of IR-Net, RBNN,
            ReCU and AdaBin.
        flip: Whether to flip.
        non_blocking: As in MMEngine's ``BaseDataPreprocessor``.

    Raises:
        ValueError: An unknown ``pad_mode``.
    """

    def __init__(self,
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 bgr_to_rgb: bool = False,
                 crop_padding: int = 0,
                 pad_mode: str = 'reflect',
                 flip: bool = False,
                 non_blocking: bool = True) -> None:
        super().__init__(non_blocking=non_blocking)
        if pad_mode not in ('reflect', 'constant'):
            raise ValueError(f"ClsDataPreProcessor: pad_mode={pad_mode!r}, expected 'reflect' or 'constant'")
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.bgr_to_rgb = bgr_to_rgb
        self.crop_padding = crop_padding
        self.pad_mode = pad_mode
        self.flip = flip

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """``inputs``, uint8 images (3, H, W), as one float tensor (N, 3, H, W) on the device, channels last.

        Raises:
            ValueError: The images differ in size.
        """
        inputs = data['inputs']
        if not isinstance(inputs, Tensor):
            sizes = {tuple(image.shape) for image in inputs}
            if len(sizes) > 1:
                raise ValueError(f'ClsDataPreProcessor: a batch has images of sizes {sorted(sizes)}; the '
                                 'pipeline must crop or resize them to one')
            inputs = stack_images(inputs)
        inputs = self.cast_data(inputs)
        if training and (self.crop_padding or self.flip):
            inputs = crop_and_flip(inputs, self.crop_padding, self.flip, self.pad_mode)
        if self.bgr_to_rgb:
            inputs = reverse_channels(inputs)
        return dict(inputs=normalize(inputs, self.mean, self.std), data_samples=data.get('data_samples'))


def crop_and_flip(images: Tensor, padding: int, flip: bool, pad_mode: str = 'reflect') -> Tensor:
    """Crops padded (N, C, H, W) back to H x W at random places, and flips half of them; channels last.

    Args:
        images: The images.
        padding: Pixels on each side, less than H and W.
        flip: Whether to flip.
        pad_mode: 'reflect', or 'constant' for zeros.
    """
    n, _, height, width = images.shape
    shift = torch.randint(-padding, padding + 1, (2, n, 1))
    flipped = torch.rand(n, 1) < 0.5 * flip
    rows, columns = torch.arange(height) + shift[0], torch.arange(width) + shift[1]
    if pad_mode == 'constant':
        images = F.pad(images, (padding, ) * 4)
        rows, columns = rows + padding, columns + padding
    else:
        rows, columns = _reflect(rows, height), _reflect(columns, width)
    columns = torch.where(flipped, columns.flip(1), columns)
    rows, columns = (index.to(images.device, non_blocking=True) for index in (rows, columns))
    image = torch.arange(n, device=images.device).view(n, 1, 1)
    picked = images[image, :, rows.unsqueeze(2), columns.unsqueeze(1)]  # (N, H, W, C)
    return picked.permute(0, 3, 1, 2)


def _reflect(index: Tensor, size: int) -> Tensor:
    """Positions outside [0, size) mirrored at the border pixels."""
    return size - 1 - (size - 1 - index.abs()).abs()
