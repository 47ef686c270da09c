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
        teacher_scale: The same factor for a teacher; its images then go along with a training batch as
            ``teacher_inputs``. None: it sees what the network sees.
        size: Fixed (height, width) to pad to in training.
        size_divisor: Pads to a multiple in training.
        kwargs: As in ``SegDataPreProcessor``.

    Raises:
        ValueError: A scale is no positive number, or both ``size`` and ``size_divisor`` are given.
    """

    def __init__(self,
                 *args,
                 input_scale: float = 1.0,
                 teacher_scale: Optional[float] = None,
                 size: Optional[tuple] = None,
                 size_divisor: Optional[int] = None,
                 **kwargs) -> None:
        for name, scale in (('input_scale', input_scale), ('teacher_scale', teacher_scale)):
            number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
            if not (number and 0 < scale < float('inf')) and (scale is not None or name == 'input_scale'):
                raise ValueError(f'DenseDataPreProcessor: {name} must be a positive number (0.5 halves '
                                 f'the height and the width that are seen), got {scale!r}')
        if size is not None and size_divisor is not None:
            raise ValueError(f'DenseDataPreProcessor: give size or size_divisor, not both (size={size}, '
                             f'size_divisor={size_divisor})')
        if size is None and size_divisor is None:
            size_divisor = 1
        super().__init__(*args, size=size, size_divisor=size_divisor, **kwargs)
        self.input_scale = input_scale
        self.teacher_scale = teacher_scale

    def scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Size that the network sees of an image of (height, width), before padding."""
        return _scaled_size((height, width), self.input_scale)

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """As in ``SegDataPreProcessor``: inputs (N, C, H, W) and their data samples, on the device.

        Inputs have the channels last in memory. In evaluation, images that cannot be stacked stay a list
        (``cmim_mm.EncoderDecoder`` and ``cmim_mm.DepthEstimator`` take it).
        """
        data = self.cast_data(data)
        images = [self._to_network(image, self.input_scale) for image in data['inputs']]
        samples = data.get('data_samples')
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
        found = dict(inputs=batch, data_samples=samples)
        if self.teacher_scale is not None:
            found['teacher_inputs'] = self._teacher_inputs(data['inputs'], batch)
        return found

    def _teacher_inputs(self, images: Sequence[Tensor], batch: Tensor) -> Tensor:
        """The training images (N, C, H, W) at the teacher's scale, of the scene that the network sees."""
        sizes = {self.scaled_size(*image.shape[-2:]) for image in images}
        if self.batch_augments is not None or sizes != {tuple(batch.shape[-2:])}:
            raise ValueError('DenseDataPreProcessor: teacher_scale asks for training images of one size, '
                             'without padding and batch augmentation, which the teacher does not see; crop '
                             'them to one size, and leave out size and size_divisor')
        return stack_images([self._to_network(image, self.teacher_scale) for image in images])

    def _to_network(self, image: Tensor, scale: float) -> Tensor:
        """Resized, its channels in the network's order, normalized."""
        if scale != 1:
            image = _resized(image, scale, 'bilinear')
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

    def _fitting_label(self, sample, key: str, image: Tensor) -> Tensor:
        value = getattr(sample, key).data
        if self.input_scale != 1:
            value = _resized(value, self.input_scale, 'nearest-exact').to(value.dtype)
        if value.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f'DenseDataPreProcessor: {key} is {tuple(value.shape[-2:])} where its image is '
                f'{tuple(image.shape[-2:])} ({sample.get("img_path", "image path unknown")}); a training '
                'pipeline must resize and crop both alike')
        return value


def _scaled_size(size: Sequence[int], scale: float) -> tuple[int, ...]:
    return tuple(max(round(side * scale), 1) for side in size)


def _resized(image: Tensor, scale: float, mode: str) -> Tensor:
    """(C, H, W) of any type -> float (C, H', W')."""
    align = False if mode == 'bilinear' else None
    size = _scaled_size(image.shape[-2:], scale)
    return F.interpolate(stack_images([image]).float(), size, mode=mode, align_corners=align)[0]


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
