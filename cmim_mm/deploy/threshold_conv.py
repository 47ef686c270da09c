"""A binary convolution whose result is nothing but the next one's bits: one integer threshold a channel."""
from typing import Callable

import torch
from torch import Tensor

from cmim_mm.binarize import BinaryConv2d

from . import ops
from .packed_conv import PackedConv2d
from .sign_conv import SignConv2d


class ThresholdConv2d(SignConv2d):
    """The next convolution's bits, (S >= limit_o) xor flip_o.

    Where neither a shortcut nor T nor a border's share enters, all that follows the sum S up to the next sign
    is monotone in S. The limit is found by bisection over the sums that there can be, with the trained
    modules' own arithmetic; so ties, and norms of zero or negative weight, need no rule.

    Attributes:
        limit: (O,) int32.
        flip: (O,) bool.
        next_groups: Groups of the next convolution.

    Args:
        conv: The trained layer.
        follow: What stands behind it up to the next sign, (N, O, 1, 1) -> the same.
        threshold: (O,), the next layer's.
    """

    def __init__(self, conv: BinaryConv2d, follow: Callable[[Tensor], Tensor], threshold: Tensor) -> None:
        super().__init__(conv)
        self.next_groups = 1
        affine = PackedConv2d(conv)

        def bit(s: Tensor) -> Tensor:
            y = follow((s * affine.scale + affine.offset).view(1, -1, 1, 1))
            return y.flatten() >= threshold

        with torch.no_grad():
            limit, flip = find_limit(bit, self.out_channels, most=self.signs()[0].numel())
        self.register_buffer('limit', limit)
        self.register_buffer('flip', flip)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) float, or its bits -> bits of the next convolution."""
        bits = ops.binary_conv2d_threshold(
            self.pack(x), self._weight, self.limit, self.flip, *self.geometry(), self.next_groups,
            self._prepared)
        rows, columns = self.crop
        return bits[:, rows:, columns:].contiguous() if rows or columns else bits


def find_limit(bit: Callable[[Tensor], Tensor], channels: int, most: int) -> tuple[Tensor, Tensor]:
    """limit, flip with bit(S) = (S >= limit) xor flip for all -most <= S <= most.

    Args:
        bit: S (O,) float32 -> (O,) bool, monotone in each channel.
        channels: O.
        most: Largest sum.

    Returns:
        (O,) int32; (O,) bool. A constant bit has limit -most.
    """
    low = torch.full((channels, ), -most, dtype=torch.int32)
    high = torch.full((channels, ), most, dtype=torch.int32)
    first, last = bit(low.float()), bit(high.float())
    while (high - low > 1).any():
        middle = torch.div(low + high, 2, rounding_mode='floor')
        changed = bit(middle.float()) != first
        low, high = torch.where(changed, low, middle), torch.where(changed, middle, high)
    constant = first == last
    return torch.where(constant, -most, high).int(), torch.where(constant, ~first, first)
