"""A model as one function of the image: what an exported file computes."""
from typing import Union

import torch
from mmseg.models import DepthEstimator
from mmseg.models.segmentors.base import BaseSegmentor
from torch import Tensor, nn
from torch.nn import functional as F

from cmim_mm.checkpoint import CheckpointError

from .sign_conv import SignConv2d


class FromImage(nn.Module):
    """Normalization, network, and for dense predictions the upsampling to the image's size.

    A segmentor gives logits (N, K, H, W), a depth estimator metres (N, 1, H, W), a classifier logits (N, K),
    a backbone its feature maps.

    Args:
        model: In eval mode.

    Attributes:
        channels: C of the image.
        mean, std: (C, 1, 1), on the scale 0 to 255; None where the image must be normalized already.

    Raises:
        CheckpointError: Its preprocessor pads images in evaluation, or it predicts by windows that slide.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        preprocessor = getattr(model, 'data_preprocessor', None)
        if getattr(preprocessor, 'test_cfg', None):
            raise CheckpointError('data_preprocessor.test_cfg pads images in evaluation, an exported model '
                                  'does not: set it to None, and export for a size that needs no padding')
        if (getattr(model, 'test_cfg', None) or {}).get('mode') == 'slide':
            raise CheckpointError(
                "model.test_cfg.mode is 'slide', an exported model sees one image as a whole: export it with "
                '--cfg-options model.test_cfg.mode=whole and --size of a window '
                f'{tuple(model.test_cfg["crop_size"])}, and slide and average outside')
        self.model = model
        self.scaled_size = getattr(preprocessor, 'scaled_size', None)
        normalizes = hasattr(preprocessor, 'mean') and getattr(preprocessor, '_enable_normalize', True)
        for name in ('mean', 'std'):
            self.register_buffer(name, getattr(preprocessor, name).clone() if normalizes else None)
        first = next(m for m in model.modules() if isinstance(m, (nn.Conv2d, SignConv2d)))
        self.channels = first.in_channels
        self.eval()

    def forward(self, image: Tensor) -> Union[Tensor, tuple[Tensor, ...]]:
        """(N, C, H, W), 0 to 255, channels in the order that the network sees -> what the model predicts."""
        size = tuple(image.shape[2:])
        scaled = size if self.scaled_size is None else self.scaled_size(*size)
        x = image if scaled == size else F.interpolate(image, scaled, mode='bilinear', align_corners=False)
        if self.mean is not None:
            x = (x - self.mean) / self.std
        if isinstance(self.model, BaseSegmentor):
            return self.model.encode_decode(x, [dict(ori_shape=size, img_shape=size, pad_shape=size)])
        return self.model(x)

    def output_names(self, number: int) -> list[str]:
        """'logits' or 'depth', or 'map0', 'map1', ... of a backbone."""
        if number > 1 or not isinstance(getattr(self.model, 'decode_head', None), nn.Module):
            return [f'map{i}' for i in range(number)]
        return ['depth' if isinstance(self.model, DepthEstimator) else 'logits']

    @torch.no_grad()
    def outputs(self, image: Tensor) -> list[Tensor]:
        """All outputs in a list."""
        found = self(image)
        return [found] if isinstance(found, Tensor) else list(found)

    def example(self, *shape: int) -> Tensor:
        """Noise in the range of images, (N, C, H, W), the same each time."""
        noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        return 4 * noise - 2 if self.mean is None else 255 * noise
