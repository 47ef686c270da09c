"""Binary VGG-Small."""
from collections.abc import Sequence
from functools import partial
from typing import Callable, Optional, Union

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.registry import MODELS

from ..features import Tap
from .base import Backbone
from .blocks import BLOCKS, BasicBlock, MaxPool2d

#: Width of the stem and, for each stage, of its convolutions.
STEM = 128
STAGES = ((128,), (256, 256), (512, 512))


class VGGLayer(BaseModule):
    """y = act(bn1(pool(conv1(x)))), with or without the 2x2 max pool."""

    def __init__(self, in_channels: int, channels: int, conv: Callable[..., nn.Module], norm_cfg: dict,
                 act: nn.Module, pool: bool, kernel_size: int = 3, padding: int = 1) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, channels, kernel_size, padding=padding, bias=False)
        self.pool = MaxPool2d(2, ceil_mode=True) if pool else nn.Identity()
        self.bn1 = build_norm_layer(norm_cfg, channels)[1]
        self.nonlinear = act

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H, W), or half the size rounded up (kernel 3)."""
        return self.nonlinear(self.bn1(self.pool(self.conv1(x))))


@MODELS.register_module()
class BinaryVGG(Backbone):
    """VGG-Small: a full-precision and five binary 3x3 convolutions, three max pools.

    Each pool stands between a convolution and its norm, so that what the next binary convolution gets is
    centred. Feature maps have 128, 256 and 512 channels at strides 2, 4 and 8; the published classifier
    for CIFAR-10 flattens the last one (512 x 4 x 4). Layout of the code of IR-Net (arXiv 1909.10788).

    Args:
        in_channels: Channels of the image.
        binarizer: Name or config of a binarizer; None for the full-precision twin with ReLU.
        block: 'plain', 'bireal', 'hardtanh', 'react' or 'maxout': whose nonlinearity follows the norms
            (there are no shortcuts); None takes the one of the binarizer's recipe, Hardtanh for
            'bireal', which has none.
        out_indices: Stages (0 to 2) whose feature maps are returned; None for all.
        frozen_stages: Stem (0) and stages up to this one (1 to 3) do not train; -1 freezes nothing.
        norm_cfg: Norm layers.
        norm_eval: Keeps the statistics of batch norms while training.
        taps: Binary convolutions to record in training, e.g. ``(3,)`` for the last one of the fourth stage;
            see :class:`~cmim_mm.models.backbones.base.Backbone`.
        init_cfg: As in MMEngine's BaseModule.

    Raises:
        ValueError: An argument outside the values above; the message lists them.
        KeyError: An unknown binarizer; the message lists the names.
    """

    def __init__(self,
                 in_channels: int = 3,
                 binarizer: Union[str, dict, None] = 'ReActNet',
                 block: Optional[str] = None,
                 out_indices: Optional[Sequence[int]] = None,
                 frozen_stages: int = -1,
                 norm_cfg: dict = dict(type='BN'),  # noqa: B006
                 norm_eval: bool = False,
                 taps: Sequence[Tap] = (),
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(len(STAGES), out_indices, frozen_stages, norm_eval, taps, init_cfg)
        act = self._block(binarizer, block, {**BLOCKS, None: BasicBlock}, cifar=True).act
        conv = nn.Conv2d if binarizer is None else partial(BinaryConv2d, binarizer=binarizer)
        self.conv1 = nn.Conv2d(in_channels, STEM, 3, padding=1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, STEM)[1]
        self.act = act(STEM)
        width = STEM
        for i, stage in enumerate(STAGES):
            layers = []
            for j, channels in enumerate(stage):
                layers.append(VGGLayer(width, channels, conv, norm_cfg, act(channels), j == len(stage) - 1))
                width = channels
            self.add_module(f'layer{i + 1}', Sequential(*layers))
        self._init_convs()
        self._finish()
