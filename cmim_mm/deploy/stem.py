"""A network's first convolution together with the max pooling behind it."""
import torch
from mmengine.utils import to_2tuple
from torch import Tensor, nn
from torch.nn import functional as F

from . import ops
from .dense import DenseConv2d
from .operators import FLOATS

#: With more input channels oneDNN's formats are as fast.
MOST_CHANNELS = 4


class StemConv2d(DenseConv2d):
    """maxpool(conv(x)) without the map between, which is the largest of the network.

    Args:
        conv: As :func:`is_stem` accepts it; its parameters are taken over.
        pool: Likewise.
    """

    def __init__(self, conv: nn.Conv2d, pool: nn.MaxPool2d) -> None:
        super().__init__(conv)
        self.pool = [tuple(to_2tuple(size)) for size in (pool.kernel_size, pool.stride, pool.padding)]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W') in channels_last memory."""
        if torch.compiler.is_compiling() or not x.is_cpu or not {x.dtype, self.weight.dtype} <= {*FLOATS}:
            return F.max_pool2d(self.convolve(x, self.weight, self.bias), *self.pool)
        return ops.stem_conv2d(x, self.weight, self.bias, self.stride, self.padding, *self.pool)


def is_stem(conv: nn.Module, pool: nn.Module) -> bool:
    """Whether a convolution and the layer behind it can be one of these."""
    return (type(conv) is nn.Conv2d and conv.in_channels <= MOST_CHANNELS and conv.groups == 1
            and conv.padding_mode == 'zeros' and not isinstance(conv.padding, str) and conv.dilation == (1, 1)
            and isinstance(pool, nn.MaxPool2d) and tuple(to_2tuple(pool.dilation)) == (1, 1)
            and not pool.ceil_mode and not pool.return_indices)
