"""Binary MobileNet: ReActNet-A."""
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
from .blocks import BLOCKS, BasicBlock, MaxoutBlock, ReActBlock
from .shortcuts import pool

STEM = 32
#: Output channels of each stage's blocks.
STAGES = ((64, 128, 128), (256,) * 2, (512,) * 6, (1024,) * 2)
OUTPUT_STRIDES = (8, 16, 32)
#: Mean that RPReLU and Maxout (slopes 1 and 1/4) give a centred sum of variance 1.8, met in these blocks.
DRIFT = 0.4


class MobileBlock(BaseModule):
    """A 3x3 and a 1x1 convolution, each under a shortcut without parameters (ReActNet, fig. 2).

    u = act(bn1(conv1(x)) + pool(x)); y = act(bn2(conv2(u)) + [u, u]), with [u] where the number of
    channels stays. Where it doubles, the paper's two 1x1 convolutions of the duplicated activation, side
    by side, are the one conv2 here: they read the same binary input. Source: arXiv 2003.03488.
    """

    def __init__(self, in_channels: int, channels: int, conv: Callable[..., nn.Module], norm_cfg: dict,
                 act: Callable[[int], nn.Module], stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.copies = channels // in_channels
        self.conv1 = conv(in_channels, in_channels, 3, stride=stride, padding=dilation, dilation=dilation,
                          bias=False)
        self.bn1 = build_norm_layer(norm_cfg, in_channels)[1]
        self.pool = pool(stride)
        self.nonlinear1 = act(in_channels)
        self.conv2 = conv(in_channels, channels, 1, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, channels)[1]
        self.nonlinear2 = act(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""
        out = self.nonlinear1(self.bn1(self.conv1(x)) + self.pool(x))
        shortcut = out if self.copies == 1 else out.repeat(1, self.copies, 1, 1)
        return self.nonlinear2(self.bn2(self.conv2(out)) + shortcut)


@MODELS.register_module()
class BinaryMobileNet(Backbone):
    """ReActNet-A: MobileNet's widths with dense binary 3x3 convolutions and duplicated activations.

    The stem's 3x3 convolution with stride 2 and the norms stay in full precision; there is no other
    full-precision convolution, since no shortcut has parameters. Feature maps have 128, 256, 512 and
    1024 channels at strides 4, 8, 16 and 32, bounded by ``output_stride``. Source: arXiv 2003.03488.

    One start value is ours: behind RPReLU and Maxout the biases of the norms begin at -0.4, not 0. The
    nonlinearity raises the mean, no shortcut ever centres it again, and up to 97 % of the inputs of the
    last stage's binary convolutions would start as +1.

    Args:
        in_channels: Channels of the image.
        binarizer: Name or config of a binarizer; None for the full-precision twin with ReLU.
        block: 'plain', 'bireal', 'hardtanh', 'react' or 'maxout': whose nonlinearity follows the sums;
            None takes the one of the binarizer's recipe.
        output_stride: 8, 16 or 32, of the last feature map; below 32 dilation replaces stride.
        out_indices: Stages (0 to 3) whose feature maps are returned; None for all.
        frozen_stages: Stem (0) and stages up to this one (1 to 4) do not train; -1 freezes nothing.
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
                 output_stride: int = 32,
                 out_indices: Optional[Sequence[int]] = None,
                 frozen_stages: int = -1,
                 norm_cfg: dict = dict(type='BN'),  # noqa: B006
                 norm_eval: bool = False,
                 taps: Sequence[Tap] = (),
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(len(STAGES), out_indices, frozen_stages, norm_eval, taps, init_cfg)
        self._check('output_stride', output_stride, OUTPUT_STRIDES)
        block_type = self._block(binarizer, block, {**BLOCKS, None: BasicBlock})
        conv = nn.Conv2d if binarizer is None else partial(BinaryConv2d, binarizer=binarizer)
        self.conv1 = nn.Conv2d(in_channels, STEM, 3, stride=2, padding=1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, STEM)[1]
        self.act = block_type.stem_act()
        width, reached, dilation = STEM, 2, 1
        for i, stage in enumerate(STAGES):
            blocks = []
            for channels in stage:
                # The first block after a replaced stride reads the grid of the block before.
                stride, own_dilation = 1, dilation
                if channels > width and width != STEM:
                    if reached < output_stride:
                        stride, reached = 2, reached * 2
                    else:
                        dilation *= 2
                blocks.append(MobileBlock(width, channels, conv, norm_cfg, block_type.act, stride,
                                          own_dilation))
                width = channels
            self.add_module(f'layer{i + 1}', Sequential(*blocks))
        self._init_convs()
        if issubclass(block_type, (ReActBlock, MaxoutBlock)):
            for block in (block for stage in self.stages for block in stage):
                nn.init.constant_(block.bn1.bias, -DRIFT)
                nn.init.constant_(block.bn2.bias, -DRIFT)
        self._finish()
