"""Batches of images with segmentation and depth ground truth."""
from collections.abc import Sequence
from typing import Any, Optional

import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from torch import Tensor

from cmim_mm.registry import MODELS

from .image_batch import normalize, reverse_channels, stack_images

DEPTH_MAPS = ('gt_depth_map', 'gt_raw_depth_map')
#: Fields of a data sample that follow the image's size in training.
LABEL_MAPS = ('gt_sem_seg', 'gt_edge_map', *DEPTH_MAPS)


@MODELS.register_module()
class DenseDataPreProcessor(SegDataPreProcessor):
    """mmseg's preprocessor for samples that may carry depth, with a working resolution of its own.

    Depth is padded with 0 (missing), labels with ``seg_pad_val`` (255, ignored). A training batch of
    different sizes is padded to its largest image; ``size`` or ``size_divisor`` asks for more. In
    evaluation nothing is padded, and images of different sizes stay a list.

    ``input_scale`` resizes on the device: images bilinearly, always; labels and depth to the nearest
    pixel, in training only. In evaluation the ground truth keeps its size and mmseg's heads bring the
    prediction to ``ori_shape``, so figures of different scales compare. (Bilinear weights sum to one,
    hence resizing and normalization commute.)

    Args:
        input_scale: Factor between the pipeline's image size and what the network sees.
        size: Fixed (height, width) to pad to in training.
        size_divisor: Pads to a multiple in training.
        kwargs: As in ``SegDataPreProcessor``.

    Raises:
        ValueError: ``input_scale`` is no positive number, or both ``size`` and ``size_divisor`` are given.
    """

    def __init__(self,
                 *args,
                 input_scale: float = 1.0,
                 size: Optional[tuple] = None,
                 size_divisor: Optional[int] = None,
                 **kwargs) -> None:
        if isinstance(input_scale, bool) or not isinstance(input_scale, (int, float)) \
                or not 0 < input_scale < float('inf'):
            raise ValueError('DenseDataPreProcessor: input_scale must be a positive number (0.5 halves '
                             f'the height and the width that the network sees), got {input_scale!r}')
        if size is not None and size_divisor is not None:
            raise ValueError(f'DenseDataPreProcessor: give size or size_divisor, not both (size={size}, '
                             f'size_divisor={size_divisor})')
        if size is None and size_divisor is None:
            size_divisor = 1
        super().__init__(*args, size=size, size_divisor=size_divisor, **kwargs)
        self.input_scale = input_scale

    def scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Size that the network sees of an image of (height, width), before padding."""
        return max(round(height * self.input_scale), 1), max(round(width * self.input_scale), 1)

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """As in ``SegDataPreProcessor``: inputs (N, C, H, W) and their data samples, on the device.

        Inputs have the channels last in memory. In evaluation, images that cannot be stacked stay a list
        (``cmim_mm.EncoderDecoder`` and ``cmim_mm.DepthEstimator`` take it).
        """
        data = self.cast_data(data)
        images, samples = [self._to_network(image) for image in data['inputs']], data.get('data_samples')
        if not training:
            images = [self._pad(image, samples and samples[i]) for i, image in enumerate(images)]
            one_size = len({image.shape for image in images}) == 1
            return dict(inputs=stack_images(images) if one_size else images, data_samples=samples)
        if samples is None:
            raise ValueError('DenseDataPreProcessor: training needs data_samples beside inputs')
        height, width = (max(sizes) for sizes in zip(*(image.shape[-2:] for image in images)))
        for i, (sample, image) in enumerate(zip(samples, images)):
            padding = _padding(image, self.size or _multiple((height, width), self.size_divisor))
            images[i] = _padded(image, padding, self.pad_val)
            sample.set_metainfo(dict(img_shape=image.shape[-2:], pad_shape=images[i].shape[-2:],
                                     padding_size=padding))
            for key in LABEL_MAPS:
                if key in sample:
                    value = F.pad(self._fitting_label(sample, key, image), padding,
                                  value=0 if key in DEPTH_MAPS else self.seg_pad_val)
                    setattr(sample, key, PixelData(data=value))
        batch = stack_images(images)
        if self.batch_augments is not None:
            batch, samples = self.batch_augments(batch, samples)
        return dict(inputs=batch, data_samples=samples)

    def _to_network(self, image: Tensor) -> Tensor:
        """Resized, its channels in the network's order, normalized."""
        if self.input_scale != 1:
            image = self._resize(image, 'bilinear')
        if self.channel_conversion and len(image) == 3:
            image = reverse_channels(image)
        return normalize(image, self.mean, self.std) if self._enable_normalize else image.float()

    def _pad(self, image: Tensor, sample) -> Tensor:
        """In evaluation: as ``test_cfg`` says."""
        if not self.test_cfg:
            return image
        divisor = self.test_cfg.get('size_divisor') or 1
        size = self.test_cfg.get('size') or _multiple(image.shape[-2:], divisor)
        padding = _padding(image, size)
        image = _padded(image, padding, self.pad_val)
        if sample is not None:
            sample.set_metainfo(dict(img_padding_size=padding, pad_shape=image.shape[-2:]))
        return image

    def _resize(self, image: Tensor, mode: str) -> Tensor:
        """(C, H, W) of any type -> float (C, H', W')."""
        align = False if mode == 'bilinear' else None
        size = self.scaled_size(*image.shape[-2:])
        return F.interpolate(stack_images([image]).float(), size, mode=mode, align_corners=align)[0]

    def _fitting_label(self, sample, key: str, image: Tensor) -> Tensor:
        value = getattr(sample, key).data
        if self.input_scale != 1:
            value = self._resize(value, 'nearest-exact').to(value.dtype)
        if value.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f'DenseDataPreProcessor: {key} is {tuple(value.shape[-2:])} where its image is '
                f'{tuple(image.shape[-2:])} ({sample.get("img_path", "image path unknown")}); a training '
                'pipeline must resize and crop both alike')
        return value


def _multiple(size: Sequence[int], divisor: int) -> tuple[int, ...]:
    """The next size whose sides the divisor divides."""
    return tuple(-(-side // divisor) * divisor for side in size)


def _padding(image: Tensor, size: Sequence[int]) -> tuple[int, int, int, int]:
    """Pixels (left, right, top, bottom) around (C, H, W) up to (height, width)."""
    height, width = (max(wanted - side, 0) for wanted, side in zip(size, image.shape[-2:]))
    return 0, width, 0, height


def _padded(image: Tensor, padding: tuple[int, int, int, int], value: float) -> Tensor:
    if not any(padding):
        return image
    return F.pad(image.permute(1, 2, 0), (0, 0, *padding), value=value).permute(2, 0, 1)
