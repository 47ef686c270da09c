"""The sizes of a packed convolution, and the checks of its arguments.

``torch._check`` raises RuntimeError, as torch's own operators do, and works on symbolic sizes too.
"""
from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch
from torch import Tensor

Pair = tuple[int, int]


def num_words(channels: int) -> int:
    """64-bit words that hold the bits of so many channels."""
    return (channels + 63) // 64


class Geometry(NamedTuple):
    """Attributes:
        batch, size: N and (H, W) of the input.
        groups, group_channels, words: G, C / G, and W64 = ceil(C / G / 64).
        out_channels, kernel, stride, padding, dilation: of the convolution.
        out_size: (H', W').
    """
    batch: int
    size: Pair
    groups: int
    group_channels: int
    words: int
    out_channels: int
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    out_size: Pair

    @property
    def prepared_words(self) -> int:
        """Length of what ``prepare_weight`` gives, in 64-bit words.

        A header of 8 words; then, over the outputs of each group padded to a multiple of 32, ceil(C / G / 32)
        half words of bits for each tap, and half a word for the number of a tap's bits that are 1.
        """
        lanes = self.groups * ((self.out_channels // self.groups + 31) // 32 * 32)
        halves = (self.group_channels + 31) // 32 + 1
        return 8 + lanes * self.kernel[0] * self.kernel[1] * halves // 2


def check_pair(name: str, values: list[int], least: int) -> Pair:
    """The pair; raises RuntimeError unless both are at least so much."""
    values = tuple(values)
    torch._check(len(values) == 2 and min(values) >= least,
                 lambda: f'{name}={list(values)}: expected two numbers, at least {least}')
    return values


def moved(name: str, size: Sequence[int], window: Sequence[int], stride: Pair, padding: Pair) -> list[int]:
    """The size of the map that a window gives which moves over one of ``size``.

    Raises:
        RuntimeError: The window is larger.
    """
    out = []
    for axis in range(2):
        left = size[axis] + 2 * padding[axis] - window[axis]
        torch._check(window[axis] >= 1 and left >= 0, lambda: (
            f'the {name} {tuple(window)} is larger than the map {tuple(size)} below it with its padding '
            f'{padding}'))
        out.append(left // stride[axis] + 1)
    return out


def check_groups(channels: int, groups: int, name: str) -> None:
    torch._check(groups >= 1 and channels >= 1 and channels % groups == 0,
                 lambda: f'{name}={groups}: expected a divisor of the {channels} channels')


def check_tensor(name: str, tensor: Tensor, shape: tuple, *dtypes: torch.dtype) -> None:
    """Raises RuntimeError unless a tensor has one of the dtypes and the shape; None in it is any size."""
    torch._check(tensor.dtype in dtypes,
                 lambda: f'{name}: expected {" or ".join(map(str, dtypes))}, got {tensor.dtype}')
    torch._check(tensor.dim() == len(shape) and all(
        want is None or size == want for size, want in zip(tensor.shape, shape)),
        lambda: f'{name}: expected the shape {tuple("any" if want is None else want for want in shape)}, '
                f'got {tuple(tensor.shape)}')


def conv_geometry(bits: Tensor, weight: Tensor, in_channels: int, stride: list[int], padding: list[int],
                  dilation: list[int], groups: int, prepared: Optional[Tensor] = None) -> Geometry:
    """The geometry of a convolution, its arguments checked.

    Raises:
        RuntimeError: A tensor's dtype or shape, a size or the groups do not fit; says which and what does.
    """
    check_groups(in_channels, groups, 'groups')
    group_channels = in_channels // groups
    words = num_words(group_channels)
    check_tensor('weight', weight, (None, None, None, words), torch.int64)
    out_channels, *kernel = weight.shape[:3]
    check_groups(out_channels, groups, 'groups')
    check_tensor('bits', bits, (None, None, None, groups * words), torch.int64)
    stride, padding = check_pair('stride', stride, 1), check_pair('padding', padding, 0)
    dilation = check_pair('dilation', dilation, 1)
    size, out_size = tuple(bits.shape[1:3]), []
    for axis in range(2):
        extent = size[axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1
        torch._check(kernel[axis] >= 1 and extent >= 0, lambda: (
            f'the filter {tuple(kernel)}, dilated by {dilation}, is larger than the image {size} with its '
            f'padding {padding}'))
        out_size.append(extent // stride[axis] + 1)
    geometry = Geometry(bits.shape[0], size, groups, group_channels, words, out_channels, tuple(kernel),
                        stride, padding, dilation, tuple(out_size))
    if prepared is not None:
        check_tensor('prepared', prepared, (geometry.prepared_words,), torch.int64)
    return geometry
