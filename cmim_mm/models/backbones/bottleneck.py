"""Bottleneck blocks of ResNet-50, with the arguments of ``blocks.py``'s.

``channels`` counts the output's; the 1x1, 3x3, 1x1 convolutions have channels / 4, channels / 4 and
channels.
"""
from typing import Callable, Optional

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from .blocks import BasicBlock, BiRealBlock, HardtanhBlock, MaxoutBlock, PlainBlock, ReActBlock
from .shortcuts import pool


class PlainBottleneck(BaseModule):
    """Three convolutions under one shortcut, a Hardtanh behind each norm and behind the sum.

    The full-precision block with ReLU replaced, the layout in ReCU's code (arXiv 2103.12369); its stride
    sits at the 3x3 convolution.
    """
    convs = 3
    expansion = 4
    stem_act = PlainBlock.stem_act
    act = staticmethod(PlainBlock.act)

    def __init__(self, in_channels: int, channels: int, conv: Callable[..., nn.Module], norm_cfg: dict,
                 stride: int = 1, dilation: int = 1, shortcut: Optional[nn.Module] = None) -> None:
        super().__init__()
        width = channels // self.expansion
        self.conv1 = conv(in_channels, width, 1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, width)[1]
        self.nonlinear1 = self.act(width)
        self.conv2 = conv(width, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, width)[1]
        self.nonlinear2 = self.act(width)
        self.conv3 = conv(width, channels, 1, bias=False)
        self.bn3 = build_norm_layer(norm_cfg, channels)[1]
        self.nonlinear3 = self.act(channels)
        self.downsample = shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""
        out = self.nonlinear1(self.bn1(self.conv1(x)))
        out = self.nonlinear2(self.bn2(self.conv2(out)))
        return self.nonlinear3(self.bn3(self.conv3(out)) + self.downsample(x))


class Bottleneck(PlainBottleneck):
    """The full-precision block of ResNet-50 (arXiv 1512.03385)."""
    stem_act = BasicBlock.stem_act
    act = staticmethod(BasicBlock.act)


class BiRealBottleneck(PlainBottleneck):
    """Bi-Real's idea in a bottleneck: each binary convolution whose input can be added is bypassed.

    The 3x3 convolution has a shortcut of its own (pooled by its stride); the two 1x1 convolutions, which
    change the width, share the block's. This layout is ours, not a published one. The nonlinearity behind
    the first norm and both sums is that of the basic block.
    """
    stem_act = BiRealBlock.stem_act
    act = staticmethod(BiRealBlock.act)

    def __init__(self, in_channels: int, channels: int, conv: Callable[..., nn.Module], norm_cfg: dict,
                 stride: int = 1, dilation: int = 1, shortcut: Optional[nn.Module] = None) -> None:
        super().__init__(in_channels, channels, conv, norm_cfg, stride, dilation, shortcut)
        self.pool = pool(stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""
        out = self.nonlinear1(self.bn1(self.conv1(x)))
        out = self.nonlinear2(self.bn2(self.conv2(out)) + self.pool(out))
        return self.nonlinear3(self.bn3(self.conv3(out)) + self.downsample(x))


class HardtanhBottleneck(BiRealBottleneck):
    """Bi-Real's with a Hardtanh."""
    stem_act = HardtanhBlock.stem_act
    act = staticmethod(HardtanhBlock.act)


class ReActBottleneck(BiRealBottleneck):
    """Bi-Real's with an RPReLU."""
    act = staticmethod(ReActBlock.act)


class MaxoutBottleneck(BiRealBottleneck):
    """Bi-Real's with a Maxout."""
    act = staticmethod(MaxoutBlock.act)


#: Names of the bottlenecks for ``BinaryResNet(depth=50, block=...)``; None is full precision.
BOTTLENECKS = {'plain': PlainBottleneck, 'bireal': BiRealBottleneck, 'hardtanh': HardtanhBottleneck,
               'react': ReActBottleneck, 'maxout': MaxoutBottleneck, None: Bottleneck}
