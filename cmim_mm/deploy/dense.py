"""Full-precision convolutions of a packed model, for one image on few threads."""
from typing import Optional

import torch
from mmcv.cnn.bricks.wrappers import Conv2d
from torch import Tensor, nn

from cmim_mm.models.heads.seg_heads import PartConv2d

#: Convolutions that are linear in their weight; others standardize it, or sample elsewhere.
LINEAR = (nn.Conv2d, Conv2d, PartConv2d)


class DenseConv2d(nn.Conv2d):
    """nn.Conv2d, always by oneDNN where that is there, with maps that have the channels last.

    For a single image on one thread torch takes im2col and a matrix product for small filters, which lasts
    two to four times as long.

    Args:
        conv: A convolution with zero padding given by numbers; its parameters are taken over.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding,
                         conv.dilation, conv.groups, conv.bias is not None, device='meta')
        weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = conv.bias
        self.train(conv.training)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W') in channels_last memory."""
        return self.convolve(x, self.weight, self.bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
        x = x.to(weight.dtype, memory_format=torch.channels_last)
        # Compilers and exporters choose by themselves.
        if not torch.compiler.is_compiling() and x.is_cpu and torch.backends.mkldnn.is_available():
            return torch.ops.aten.mkldnn_convolution(
                x, weight, bias, self.padding, self.stride, self.dilation, self.groups)
        return self._conv_forward(x, weight, bias)


class AlikeConv2d(DenseConv2d):
    """In float32 what nn.Conv2d gives, to the last bit: a sign may hang on it.

    torch's ways to compute a 1x1 convolution sum up to 128 products in one order, more in different ones.
    """
    MOST_PRODUCTS = 128

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.dtype != torch.float32 or self.in_channels // self.groups <= self.MOST_PRODUCTS:
            return super().forward(x)
        return self._conv_forward(x, self.weight, self.bias)


class DensePartConv2d(DenseConv2d):
    """As ``PartConv2d``."""

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        return self.convolve(x, self.weight[:, first:first + x.shape[1]])


def dense(conv: nn.Conv2d, alike: bool = False) -> nn.Conv2d:
    """That convolution as one of these, or itself where its kind or its padding is another.

    Args:
        conv: The trained layer.
        alike: Whether a 1x1 convolution shall give what torch gives to the last bit.
    """
    if type(conv) not in LINEAR or conv.padding_mode != 'zeros' or isinstance(conv.padding, str):
        return conv
    if type(conv) is PartConv2d:
        return DensePartConv2d(conv)
    return AlikeConv2d(conv) if alike and conv.kernel_size == (1, 1) else DenseConv2d(conv)
