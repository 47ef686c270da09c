"""Residual blocks of binary and full-precision ResNets.

Every block is built as ``Block(in_channels, channels, conv, norm_cfg, stride, dilation, shortcut)``, where
``conv`` makes its 3x3 convolutions (a class or a partial with nn.Conv2d's arguments) and ``shortcut``
fits the input to the output. ``convs`` counts its convolutions, so that a stage of a given depth holds as
many of them with any block. ``act(channels)`` makes its nonlinearity. ``stem_act`` is what follows the
first norm of an ImageNet stem: a ReLU there, or anywhere before a binary convolution, would turn each of
its inputs into +1.
"""
from typing import Callable, Optional

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F


class _Clamp(Function):
    @staticmethod
    def forward(ctx, x):
        y = F.hardtanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        y, = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad, y, -1, 1)


class _MaxPool(Function):
    @staticmethod
    def forward(ctx, x, *geometry):
        ctx.save_for_backward(x)
        ctx.geometry = geometry
        return torch.ops.aten.max_pool2d_with_indices(x, *geometry)[0]

    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        indices = torch.ops.aten.max_pool2d_with_indices(x, *ctx.geometry)[1]
        grad = torch.ops.aten.max_pool2d_with_indices_backward(grad, x, *ctx.geometry, indices)
        return grad, None, None, None, None, None


class MaxPool2d(nn.MaxPool2d):
    """nn.MaxPool2d that keeps its input alone and finds the maxima again in backward.

    Their indices take 8 bytes for each output: behind a stem, four times a bfloat16 map.
    """

    def forward(self, x: Tensor) -> Tensor:
        sizes = ((size, size) for size in (self.kernel_size, self.stride, self.padding, self.dilation))
        return _MaxPool.apply(x, *sizes, self.ceil_mode)


class Hardtanh(nn.Hardtanh):
    """clamp(x, -1, 1), which keeps its output (the next convolution keeps it anyway) instead of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return _Clamp.apply(x)


class _ShiftedPReLU(Function):
    """RPReLU that keeps its input alone, in the input's dtype."""

    @staticmethod
    def forward(ctx, x, shift_in, slope, shift_out):
        ctx.save_for_backward(x, shift_in, slope, shift_out)
        shift_in, slope, shift_out = (parameter.to(x.dtype) for parameter in (shift_in, slope, shift_out))
        return F.prelu(x + shift_in, slope).add_(shift_out)

    @staticmethod
    def backward(ctx, grad):
        # PReLU's own backward makes the slope's gradient at x's size in float32.
        x, shift_in, slope, shift_out = ctx.saved_tensors
        x = x + shift_in.to(x.dtype)
        positive = torch.ops.aten.threshold_backward(grad, x, 0)
        negative = grad - positive
        sum_positive, sum_negative = (side.sum_to_size(shift_in.shape).to(shift_in.dtype)
                                      for side in (positive, negative))
        grad_slope = x.mul_(negative).sum_to_size(shift_in.shape).to(slope.dtype).view(slope.shape)
        slope = slope.view(shift_in.shape)
        grad_x = positive.addcmul_(negative, slope.to(x.dtype))
        return (grad_x, sum_positive + slope * sum_negative, grad_slope, sum_positive + sum_negative)


class RPReLU(nn.Module):
    """PReLU between two learned shifts a channel: prelu(x + shift_in) + shift_out (ReActNet, eq. 3).

    (N, C, H, W) -> (N, C, H, W). Source: arXiv 2003.03488.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift_in = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.prelu = nn.PReLU(channels)
        self.shift_out = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return _ShiftedPReLU.apply(x, self.shift_in, self.prelu.weight, self.shift_out)


class _TwoSlopes(Function):
    """Maxout that keeps its input alone, in the input's dtype."""

    @staticmethod
    def forward(ctx, x, gamma_pos, gamma_neg):
        ctx.save_for_backward(x, gamma_pos, gamma_neg)
        gamma_pos, gamma_neg = gamma_pos.to(x.dtype), gamma_neg.to(x.dtype)
        positive = x.relu()
        return (x - positive).mul_(gamma_neg).addcmul_(positive, gamma_pos)

    @staticmethod
    def backward(ctx, grad):
        x, gamma_pos, gamma_neg = ctx.saved_tensors
        positive, negative = (torch.ops.aten.threshold_backward(grad, side, 0) for side in (x, -x))
        grad_pos, grad_neg = ((side * x).sum_to_size(gamma_pos.shape).to(gamma_pos.dtype)
                              for side in (positive, negative))
        grad_x = positive.mul_(gamma_pos.to(x.dtype)).addcmul_(negative, gamma_neg.to(x.dtype))
        return grad_x, grad_pos, grad_neg


class Maxout(nn.Module):
    """Learned slopes a channel: gamma_pos * relu(x) - gamma_neg * relu(-x) (AdaBin).

    (N, C, H, W) -> (N, C, H, W). Source: arXiv 2208.08084.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma_pos = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.gamma_neg = nn.Parameter(torch.full((1, channels, 1, 1), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return _TwoSlopes.apply(x, self.gamma_pos, self.gamma_neg)


class PlainBlock(BaseModule):
    """Two convolutions under one shortcut: y = act(bn2(conv2(act(bn1(conv1(x))))) + shortcut(x)).

    The activation is Hardtanh; between two convolutions the order is BN, Hardtanh, sign, as XNOR-Net
    (arXiv 1603.05279) asks.
    """
    convs = 2
    expansion = 1
    stem_act = Hardtanh

    def __init__(self, in_channels: int, channels: int, conv: Callable[..., nn.Module], norm_cfg: dict,
                 stride: int = 1, dilation: int = 1, shortcut: Optional[nn.Module] = None) -> None:
        super().__init__()
        same = dict(padding=dilation, dilation=dilation, bias=False)
        self.conv1 = conv(in_channels, channels, 3, stride=stride, **same)
        self.bn1 = build_norm_layer(norm_cfg, channels)[1]
        self.conv2 = conv(channels, channels, 3, **same)
        self.bn2 = build_norm_layer(norm_cfg, channels)[1]
        self.nonlinear = self.act(channels)
        self.downsample = shortcut or nn.Identity()

    @staticmethod
    def act(channels: int) -> nn.Module:
        return Hardtanh()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""
        out = self.nonlinear(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.nonlinear(out + self.downsample(x))


class BasicBlock(PlainBlock):
    """The full-precision block of ResNet-18 and -34 (arXiv 1512.03385)."""
    stem_act = nn.ReLU

    @staticmethod
    def act(channels: int) -> nn.Module:
        return nn.ReLU()


class BiRealBlock(BaseModule):
    """One convolution under its own full-precision shortcut: y = act(bn1(conv1(x)) + shortcut(x)).

    Bi-Real (arXiv 1808.00278) has no activation here.
    """
    convs = 1
    expansion = 1
    stem_act = nn.Identity

    def __init__(self, in_channels: int, channels: int, conv: Callable[..., nn.Module], norm_cfg: dict,
                 stride: int = 1, dilation: int = 1, shortcut: Optional[nn.Module] = None) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, channels, 3, stride=stride, padding=dilation, dilation=dilation,
                          bias=False)
        self.bn1 = build_norm_layer(norm_cfg, channels)[1]
        self.nonlinear = self.act(channels)
        self.downsample = shortcut or nn.Identity()

    @staticmethod
    def act(channels: int) -> nn.Module:
        return nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""
        return self.nonlinear(self.bn1(self.conv1(x)) + self.downsample(x))


class HardtanhBlock(BiRealBlock):
    """Bi-Real's block with a Hardtanh after the sum (the code of IR-Net, arXiv 1909.10788, and of ReCU)."""
    stem_act = Hardtanh
    act = staticmethod(PlainBlock.act)


class ReActBlock(BiRealBlock):
    """Bi-Real's block with an RPReLU after the sum (ReActNet, arXiv 2003.03488).

    Its RSign belongs to the binarizer of the convolution.
    """
    act = RPReLU


class MaxoutBlock(BiRealBlock):
    """Bi-Real's block with a Maxout after the sum (AdaBin, arXiv 2208.08084)."""
    act = Maxout


#: Names of the binary blocks for ``BinaryResNet(block=...)``.
BLOCKS = dict(plain=PlainBlock, bireal=BiRealBlock, hardtanh=HardtanhBlock, react=ReActBlock,
              maxout=MaxoutBlock)
