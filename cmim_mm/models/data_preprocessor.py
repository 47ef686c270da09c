"""Batches of images with segmentation and depth ground truth."""
from typing import Any, Optional

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from torch import Tensor

from cmim_mm.registry import MODELS

DEPTH_MAPS = ('gt_depth_map', 'gt_raw_depth_map')
#: Fields of a data sample that follow the image's size in training.
LABEL_MAPS = ('gt_sem_seg', *DEPTH_MAPS)


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
        """As in ``SegDataPreProcessor``: inputs (N, C, H, W) and their data samples, on the device."""
        data = self.cast_data(data)
        samples = data.get('data_samples')
        if self.input_scale != 1:
            data['inputs'] = [self._resize(image, 'bilinear') for image in data['inputs']]
        if not training:
            return self._stack_or_list(data)
        if samples is None:
            raise ValueError('DenseDataPreProcessor: training needs data_samples beside inputs')
        for sample, image in zip(samples, data['inputs']):
            for key in LABEL_MAPS:
                if key in sample:
                    self._fit_label(sample, key, image)
        # mmseg pads depth with the label value, so the depth maps step aside while it pads.
        depth = [{key: sample.pop(key).data for key in DEPTH_MAPS if key in sample} for sample in samples]
        data = super().forward(data, training=True)
        for sample, maps in zip(data['data_samples'], depth):
            sample.set_metainfo(dict(pad_shape=data['inputs'].shape[-2:]))
            sample.set_data({key: PixelData(data=F.pad(value, sample.padding_size))
                             for key, value in maps.items()})
        return data

    def _stack_or_list(self, data: dict) -> dict[str, Any]:
        """Evaluation: images that cannot be stacked stay a list (``cmim_mm.EncoderDecoder`` takes it)."""
        if len({image.shape for image in data['inputs']}) == 1:
            return super().forward(data)
        samples = data.get('data_samples')
        images = [super(DenseDataPreProcessor, self).forward(
            dict(inputs=[image], data_samples=samples and [samples[i]]))['inputs'][0]
            for i, image in enumerate(data['inputs'])]
        if len({image.shape for image in images}) == 1:  # padded to one size, by test_cfg
            images = torch.stack(images)
        return dict(inputs=images, data_samples=samples)

    def _resize(self, image: Tensor, mode: str) -> Tensor:
        """(C, H, W) of any type -> float (C, H', W')."""
        align = False if mode == 'bilinear' else None
        size = self.scaled_size(*image.shape[-2:])
        return F.interpolate(image[None].float(), size, mode=mode, align_corners=align)[0]

    def _fit_label(self, sample, key: str, image: Tensor) -> None:
        value = getattr(sample, key).data
        if self.input_scale != 1:
            value = self._resize(value, 'nearest-exact').to(value.dtype)
            setattr(sample, key, PixelData(data=value))
        if value.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f'DenseDataPreProcessor: {key} is {tuple(value.shape[-2:])} where its image is '
                f'{tuple(image.shape[-2:])} ({sample.get("img_path", "image path unknown")}); a training '
                'pipeline must resize and crop both alike')
