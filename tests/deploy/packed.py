"""Packed convolutions at random for the tests, and what they give by plain definitions."""
import itertools

import numpy as np
import torch
from torch.nn import functional as F

from cmim_mm.deploy.torch_path import pack_bits


def packed_by_loops(signs, groups):
    """(N, C, H, W) of -1 and +1 -> (N, H, W, G W64) int64, bit by bit."""
    n, channels, h, w = signs.shape
    per_group = channels // groups
    words = -(-per_group // 64)
    bits = np.zeros((n, h, w, groups * words), np.uint64)
    for i, c, y, x in itertools.product(range(n), range(channels), range(h), range(w)):
        group, channel = divmod(c, per_group)
        if signs[i, c, y, x] > 0:
            bits[i, y, x, group * words + channel // 64] |= np.uint64(1) << np.uint64(channel % 64)
    return torch.from_numpy(bits.view(np.int64))


def signs(generator, *shape):
    return torch.randint(0, 2, shape, generator=generator).mul_(2).sub_(1).double()


class Case:
    """A convolution of random signs: operands packed, and its sums in float64.

    Args:
        seed: Of the operands.
        channels, out_channels, size, kernel, batch, **conv: Its shape; conv are F.conv2d's arguments.
    """

    def __init__(self, seed, channels, out_channels, size, kernel=(3, 3), batch=1, groups=1, **conv):
        print(f'seed {seed}: {channels} -> {out_channels} channels, {batch} x {size}, filter {kernel}, '
              f'groups {groups}, {conv}')
        self.generator = torch.Generator().manual_seed(seed)
        self.x = signs(self.generator, batch, channels, *size)
        self.w = signs(self.generator, out_channels, channels // groups, *kernel)
        self.conv = dict(stride=1, padding=0, dilation=1, groups=groups) | conv
        self.bits = pack_bits(self.x.permute(0, 2, 3, 1) > 0, groups)
        self.weight = pack_bits(self.w.permute(0, 2, 3, 1) > 0, 1)
        self.args = channels, *self.conv.values()
        self.sums = F.conv2d(self.x, self.w, **self.conv).round().long()

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.generator)
