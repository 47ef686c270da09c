"""The operators of :mod:`cmim_mm.deploy.ops` in torch alone: exact, vectorized, no compiler, any device.

Sums of -1 and +1 are integers below 2^24, so a float32 convolution of them is exact once rounded.
"""
from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional as F

from .geometry import Geometry, conv_geometry, num_words


def pack_bits(bits: Tensor, groups: int) -> Tensor:
    """(N, H, W, C) bool -> (N, H, W, G W64) int64: bit k of word j of a group is its channel 64 j + k."""
    n, h, w, channels = bits.shape
    words = num_words(channels // groups)
    bits = bits.reshape(n, h, w, groups, channels // groups)
    bits = F.pad(bits.to(torch.uint8), (0, 64 * words - channels // groups))
    powers = 1 << torch.arange(8, dtype=torch.uint8, device=bits.device)
    octets = (bits.view(n, h, w, groups, words * 8, 8) * powers).sum(-1, dtype=torch.uint8)
    return octets.view(torch.int64).view(n, h, w, groups * words)


def unpack_signs(bits: Tensor, channels: int) -> Tensor:
    """(..., W64) int64 -> (..., channels) float32 in {-1, +1}."""
    octets = bits.contiguous().view(torch.uint8).unsqueeze(-1)
    bits = octets.bitwise_right_shift(torch.arange(8, dtype=torch.uint8, device=bits.device)) & 1
    return bits.flatten(-2)[..., :channels].float().mul_(2).sub_(1)


def pack_sign(x: Tensor, threshold: Tensor, groups: int = 1) -> Tensor:
    return pack_bits((x >= threshold[..., None, None]).permute(0, 2, 3, 1), groups)


def prepare_weight(weight: Tensor, in_channels: int, groups: int = 1) -> Tensor:
    return weight.new_zeros(conv_geometry_of_weight(weight, in_channels, groups).prepared_words)


def conv_geometry_of_weight(weight: Tensor, in_channels: int, groups: int) -> Geometry:
    """The geometry of a convolution over one pixel: what is known before there is an image."""
    words = groups * num_words(in_channels // groups)
    kernel = weight.shape[1:3]
    pixels = weight.new_empty(1, *kernel, words)
    return conv_geometry(pixels, weight, in_channels, (1, 1), (0, 0), (1, 1), groups)


def _signs(bits: Tensor, g: Geometry) -> Tensor:
    """Packed activations as float32 (N, C, H, W)."""
    grouped = bits.unflatten(-1, (g.groups, g.words))
    return unpack_signs(grouped, g.group_channels).flatten(-2).permute(0, 3, 1, 2)


def _integer_conv(signs: Tensor, weight: Tensor, g: Geometry) -> Tensor:
    y = F.conv2d(signs, weight, None, g.stride, g.padding, g.dilation, g.groups)
    return y.round_().contiguous(memory_format=torch.channels_last)


def _accumulate(bits: Tensor, weight: Tensor, g: Geometry) -> Tensor:
    """S as float32 (N, O, H', W'), whole numbers."""
    w = unpack_signs(weight, g.group_channels).permute(0, 3, 1, 2)
    return _integer_conv(_signs(bits, g), w, g)


def binary_conv2d(bits, weight, in_channels, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1,
                  prepared=None) -> Tensor:
    g = conv_geometry(bits, weight, in_channels, stride, padding, dilation, groups)
    return _accumulate(bits, weight, g).int()


def binary_conv2d_threshold(bits, weight, threshold, flip, in_channels, stride=(1, 1), padding=(0, 0),
                            dilation=(1, 1), groups=1, next_groups=1, prepared=None) -> Tensor:
    g = conv_geometry(bits, weight, in_channels, stride, padding, dilation, groups)
    s = _accumulate(bits, weight, g).int().permute(0, 2, 3, 1)
    return pack_bits((s >= threshold) ^ flip, next_groups)


def binary_conv2d_fused(bits, weight, scale, offset, in_channels, stride=(1, 1), padding=(0, 0),
                        dilation=(1, 1), groups=1, window=None, border=None, shortcut=None,
                        nonlinearity=None, low=None, high=None, y_dtype=None, next_threshold=None,
                        next_groups=1, prepared=None, gain=None,
                        shortcut_affine=None) -> tuple[Tensor, Tensor]:
    g = conv_geometry(bits, weight, in_channels, stride, padding, dilation, groups)
    v = _accumulate(bits, weight, g).permute(0, 2, 3, 1) * scale
    if window is not None:
        filters = torch.ones(groups, g.group_channels, *g.kernel, device=bits.device)
        total = _integer_conv(_signs(bits, g), filters, g).permute(0, 2, 3, 1)
        v += window * total.repeat_interleave(g.out_channels // groups, -1)
    v = v + offset if gain is None else _affine(v, gain, offset)
    if border is not None:
        for tap, inside in zip(border, _taps_inside(g, bits.device)):
            v -= torch.where(inside.unsqueeze(-1), 0, tap)
    if shortcut is not None:
        x = shortcut.permute(0, 2, 3, 1)
        v += x if shortcut_affine is None else _affine(x, *shortcut_affine)
    if nonlinearity is not None:
        shift_in, positive, negative, shift_out = nonlinearity
        v += shift_in
        v = v * torch.where(v > 0, positive, negative) + shift_out
    if low is not None or high is not None:
        v = v.clamp(low, high)
    empty = v.new_empty(0)
    y = empty if y_dtype is None else v.permute(0, 3, 1, 2).to(y_dtype)
    return y, _next_bits(v, next_threshold, next_groups)


def _affine(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """gain x + shift over the last dimension, rounded once: float64 holds the product exactly."""
    return (gain.double() * x.double() + shift.double()).float()


def _next_bits(v: Tensor, threshold: Optional[Tensor], groups: int) -> Tensor:
    if threshold is None:
        return v.new_empty(0, dtype=torch.int64)
    return pack_bits(v >= threshold, groups)


def _taps_inside(g: Geometry, device: torch.device) -> Tensor:
    """(kh kw, H', W') bool: whether a tap of the filter at an output pixel lies inside the image."""
    inside = []
    for axis in range(2):
        taps, outputs = (torch.arange(n, device=device) for n in (g.kernel[axis], g.out_size[axis]))
        at = taps[:, None] * g.dilation[axis] + outputs * g.stride[axis] - g.padding[axis]
        inside.append((at >= 0) & (at < g.size[axis]))
    rows, columns = inside
    return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(0, 1)


def stem_conv2d(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: Sequence[int] = (1, 1),
                padding: Sequence[int] = (0, 0), pool: Sequence[int] = (1, 1),
                pool_stride: Sequence[int] = (1, 1), pool_padding: Sequence[int] = (0, 0),
                affine: Optional[Tensor] = None, pool_first: bool = False) -> Tensor:
    dtype = weight.dtype
    if dtype == torch.int8:  # whole numbers below 2^24
        dtype, weight = torch.bfloat16, weight.float()
        most = x.float().abs().amax((1, 2, 3))
        levels = torch.full_like(most, 127)  # a number would be multiplied by the reciprocal
        quantizer = torch.where(most == 0, 1.0, levels / most)
        x = (x.float() * quantizer.view(-1, 1, 1, 1)).round().clamp(-127, 127).nan_to_num(-127.0)
        y = F.conv2d(x, weight, None, stride, padding).round_()
        gain = affine[0] / quantizer.view(-1, 1, 1, 1)
    else:
        y = F.conv2d(x.to(dtype), weight, bias, stride, padding)
        gain = None if affine is None else affine[0]
    if pool_first:
        y = F.max_pool2d(y, pool, pool_stride, pool_padding)
    if affine is not None:
        y = _affine(y.permute(0, 2, 3, 1), gain, affine[1]).permute(0, 3, 1, 2)
    if not pool_first:
        y = F.max_pool2d(y, pool, pool_stride, pool_padding)
    return y.to(dtype, memory_format=torch.channels_last)


def bilinear_labels(logits, size, align_corners=False) -> Tensor:
    resized = F.interpolate(logits.float(), tuple(size), mode='bilinear', align_corners=align_corners)
    return resized.argmax(1)


def bilinear_sum(maps, size=None, bias=None, relu=False, align_corners=False) -> Tensor:
    size = maps[0].shape[2:] if size is None else size
    total = sum(_resize(x, size, align_corners) for x in maps)
    if bias is not None:
        total = total + bias.view(-1, 1, 1)
    return (total.relu() if relu else total).to(maps[0].dtype, memory_format=torch.channels_last)


def _resize(x: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    if tuple(x.shape[2:]) == tuple(size):
        return x.float()
    return F.interpolate(x.float(), tuple(size), mode='bilinear', align_corners=align_corners)
