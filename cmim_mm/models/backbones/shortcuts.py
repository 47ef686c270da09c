"""What fits the input of a residual block to its output, each as ``make(in_channels, channels, stride)``."""
from functools import partial
from typing import Callable

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import Sequential
from torch import Tensor, nn

from ..keep_format import keep_format


def pool(stride: int) -> nn.Module:
    """Average pool whose last window of an odd size holds what is left of it.

    This matches a 3x3 convolution's ceil(H / stride). Where dilation replaces the stride, an identity
    keeps the pool's place, so that checkpoints fit any output stride.
    """
    return nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()


def full_shortcut(in_channels: int, channels: int, stride: int, conv: Callable[..., nn.Module],
                  norm_cfg: dict) -> Sequential:
    """Average pool, 1x1 convolution, norm: the downsample of Bi-Real and ReActNet; odd sizes round up."""
    return Sequential(pool(stride), conv(in_channels, channels, 1, bias=False),
                      build_norm_layer(norm_cfg, channels)[1])


def strided_shortcut(in_channels: int, channels: int, stride: int, conv: Callable[..., nn.Module],
                     norm_cfg: dict) -> Sequential:
    """1x1 convolution with stride, norm: the downsample of ResNet (arXiv 1512.03385, option B)."""
    return Sequential(conv(in_channels, channels, 1, stride=stride, bias=False),
                      build_norm_layer(norm_cfg, channels)[1])


class PadChannels(nn.Module):
    """Every stride-th pixel, and channels of zeros on both sides: no parameter (ResNet's option A).

    (N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride)). Source: arXiv 1512.03385.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        before = (channels - in_channels) // 2
        self.padding = (0, 0, 0, 0, before, channels - in_channels - before)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(keep_format(x)[..., ::self.stride, ::self.stride], self.padding)


def pool_pad_shortcut(in_channels: int, channels: int, stride: int) -> Sequential:
    """Average pool, then channels of zeros: the downsample of ReCU's code on CIFAR."""
    return Sequential(pool(stride), PadChannels(in_channels, channels))


#: Names of the shortcuts for ``BinaryResNet(downsample=...)``.
DOWNSAMPLES = ('full', 'binary', 'strided', 'strided_binary', 'pad', 'pool_pad')


def make_shortcut(downsample: str, conv: Callable[..., nn.Module],
                  norm_cfg: dict) -> Callable[..., nn.Module]:
    """The shortcut of that name; ``conv`` makes the 1x1 convolutions of the binary ones."""
    if downsample == 'pad':
        return PadChannels
    if downsample == 'pool_pad':
        return pool_pad_shortcut
    make = strided_shortcut if downsample.startswith('strided') else full_shortcut
    return partial(make, conv=conv if downsample.endswith('binary') else nn.Conv2d, norm_cfg=norm_cfg)
