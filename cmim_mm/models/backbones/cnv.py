"""CNV, the binary network of FINN for CIFAR-10."""
from collections.abc import Sequence
from functools import partial
from typing import Optional, Union

from mmcv.cnn import build_norm_layer
from mmengine.model import Sequential
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.registry import MODELS

from ..features import Tap
from .base import Backbone
from .blocks import Hardtanh
from .vgg import VGGLayer

STEM = 64
#: Convolutions of each stage: (channels, kernel); the first two end in a 2x2 max pool.
STAGES = (((64, 3), ), ((128, 3), (128, 3)), ((256, 3), (256, 3)), ((512, 1), (512, 1)))


@MODELS.register_module()
class BinaryCNV(Backbone):
    """3x3 convolutions without padding, 64-64-P-128-128-P-256-256, then 512-512 fully connected.

    The fully connected layers are 1x1 convolutions of the 1x1 map that a 32x32 image leaves; larger images
    leave larger maps. The stem's convolution sees the image rounded to ``input_bits``, as a circuit does.
    Umuroglu et al., 2017 (FINN, arXiv 1612.07119).

    Args:
        in_channels: Channels of the image.
        binarizer: Name or config of a binarizer; None for the full-precision twin.
        input_bits: Bits b of an image value in [-1, 1), rounded to multiples of 2^(1 - b).
        out_indices, frozen_stages, norm_cfg, norm_eval, taps, init_cfg: As in
            :class:`~cmim_mm.models.backbones.BinaryVGG`.

    Raises:
        ValueError, KeyError: As in ``BinaryVGG``.
    """

    def __init__(self,
                 in_channels: int = 3,
                 binarizer: Union[str, dict, None] = 'BNN',
                 input_bits: int = 8,
                 out_indices: Optional[Sequence[int]] = None,
                 frozen_stages: int = -1,
                 norm_cfg: dict = dict(type='BN'),  # noqa: B006
                 norm_eval: bool = False,
                 taps: Sequence[Tap] = (),
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(len(STAGES), out_indices, frozen_stages, norm_eval, taps, init_cfg)
        self.levels = 2**(input_bits - 1)
        conv = nn.Conv2d if binarizer is None else partial(BinaryConv2d, binarizer=binarizer)
        self.conv1 = nn.Conv2d(in_channels, STEM, 3, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, STEM)[1]
        self.act = Hardtanh()
        width = STEM
        for i, stage in enumerate(STAGES):
            layers = []
            for j, (channels, kernel) in enumerate(stage):
                pool = i < 2 and j == len(stage) - 1
                layers.append(VGGLayer(width, channels, conv, norm_cfg, Hardtanh(), pool, kernel, padding=0))
                width = channels
            self.add_module(f'layer{i + 1}', Sequential(*layers))
        self._init_convs()
        self._finish()

    def _stem(self, x: Tensor) -> Tensor:
        x = (x * self.levels).round().clamp(-self.levels, self.levels - 1) / self.levels
        return super()._stem(x)
