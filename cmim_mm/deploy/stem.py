"""A network's first convolution together with the norm and the max pooling behind it."""
from typing import Optional

import torch
from mmengine.utils import to_2tuple
from torch import Tensor, nn
from torch.nn import functional as F

from . import ops
from .dense import DenseConv2d
from .nonlinear import norm_as_computed
from .operators import FLOATS

#: With more input channels oneDNN's formats are as fast.
MOST_CHANNELS = 4


class StemConv2d(DenseConv2d):
    """maxpool(norm(conv(x))) or norm(maxpool(conv(x))), without the map between, the largest of all.

    Attributes:
        affine: (2, O) float32, the norm's gain and shift; None without a norm.
        quantized: The weight in int8 and the affine that belongs to it, after ``quantize``.

    Args:
        conv: As :func:`is_stem` accepts it; its parameters are taken over.
        norm: A batch norm, of a convolution without bias.
        pool: As :func:`is_stem` accepts it.
        pool_first: Whether the norm stands behind the pool.
    """

    def __init__(self, conv: nn.Conv2d, norm: Optional[nn.Module], pool: nn.MaxPool2d,
                 pool_first: bool = False) -> None:
        super().__init__(conv)
        self.pool_first, self.quantized = pool_first, None
        self.register_buffer('affine', None if norm is None else norm_as_computed(norm))
        self.pool = [tuple(to_2tuple(size)) for size in (pool.kernel_size, pool.stride, pool.padding)]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W') in channels_last memory."""
        if torch.compiler.is_compiling() or not x.is_cpu or not {x.dtype, self.weight.dtype} <= {*FLOATS}:
            y = self.convolve(x, self.weight, self.bias)
            if self.pool_first:
                return self._norm(F.max_pool2d(y, *self.pool))
            return F.max_pool2d(self._norm(y), *self.pool)
        weight, bias, affine = self.weight, self.bias, self.affine
        if self.quantized is not None:
            weight, bias, affine = self.quantized[0], None, self.quantized[1]
        geometry = self.stride, self.padding, *self.pool
        return ops.stem_conv2d(x, weight, bias, *geometry, affine, self.pool_first)

    def quantize(self) -> None:
        """Computes in int8 from now on: weights of each filter on 255 levels, and so each image."""
        weight = self.weight.detach().float()
        size = weight.abs().amax((1, 2, 3)) / 127
        size = torch.where(size == 0, 1.0, size)
        ones, zeros = torch.ones_like(size), torch.zeros_like(size)
        shift = zeros if self.bias is None else self.bias.detach().float()
        gain, shift = (ones, shift) if self.affine is None else self.affine
        levels = (weight / size.view(-1, 1, 1, 1)).round().to(torch.int8)
        self.quantized = levels, torch.stack([gain * size, shift])

    def _norm(self, y: Tensor) -> Tensor:
        if self.affine is None:
            return y
        gain, shift = self.affine.view(2, -1, 1, 1)
        return (gain * y + shift).to(y.dtype)


def is_stem(conv: nn.Module, pool: nn.Module) -> bool:
    """Whether a convolution and the layer behind it can be one of these."""
    return (type(conv) is nn.Conv2d and conv.in_channels <= MOST_CHANNELS and conv.groups == 1
            and conv.padding_mode == 'zeros' and not isinstance(conv.padding, str) and conv.dilation == (1, 1)
            and isinstance(pool, nn.MaxPool2d) and tuple(to_2tuple(pool.dilation)) == (1, 1)
            and not pool.ceil_mode and not pool.return_indices)
