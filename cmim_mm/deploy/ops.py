"""The operators of the 1-bit runtime, ``torch.ops.cmim_mm.*``.

Packed activations are int64, (N, H, W, G W64): G groups of W64 = ceil(C / G / 64) words a pixel; bit k of
word j of a group is its channel 64 j + k, 1 for +1; bits past the last channel are 0. Packed filters are
int64, (O, kh, kw, W64), in the same order (:func:`cmim_mm.deploy.torch_path.pack_bits` makes both).

The sum S of an output is taken over the taps that lie inside the image: zero padding adds nothing. All
kernels give the same integers; their float32 arithmetic is done in the order of the formulas, each step
rounded by itself (gain v + offset once, as torch does), so they give the same floats too. No gradients.

On a CPU the kernels are compiled at the first call (:mod:`cmim_mm.deploy.kernel`); without a compiler, and on
other devices, :mod:`cmim_mm.deploy.torch_path` computes the same.
"""
from collections.abc import Sequence
from typing import Optional, Union

import torch
from torch import Tensor

from . import operators  # noqa: F401  (defines them)

Size2d = Union[int, tuple[int, int]]


def pack_sign(x: Tensor, threshold: Tensor, groups: int = 1) -> Tensor:
    """Bits of x >= threshold; NaN gives 0.

    Args:
        x: (N, C, H, W), float32 or bfloat16; fastest in channels_last memory.
        threshold: (1 or N, 1 or C), float32.
        groups: G of the convolution that reads the bits.

    Returns:
        (N, H, W, G W64) int64.

    Raises:
        RuntimeError: A dtype, a shape or the groups do not fit.
    """
    return torch.ops.cmim_mm.pack_sign(x, threshold, groups)


def prepare_weight(weight: Tensor, in_channels: int, groups: int = 1) -> Tensor:
    """Filters once more, in the order in which the kernel in force reads them.

    Without it each call of a convolution does this first. It is private to this version and processor: keep
    it in memory (a non-persistent buffer), never in a file. Made for another kernel it is ignored, not wrong.

    Args:
        weight: (O, kh, kw, W64) int64.
        in_channels: C.
        groups: G.

    Returns:
        int64, one-dimensional.

    Raises:
        RuntimeError: A dtype, a shape or the groups do not fit.
    """
    return torch.ops.cmim_mm.prepare_weight(weight, in_channels, groups)


def binary_conv2d(bits: Tensor, weight: Tensor, in_channels: int, stride: Size2d = 1, padding: Size2d = 0,
                  dilation: Size2d = 1, groups: int = 1, prepared: Optional[Tensor] = None) -> Tensor:
    """S[n, o, y, x] = sum of s_o b over the filter's taps that lie inside the image.

    Args:
        bits: (N, H, W, G W64) int64, the signs b.
        weight: (O, kh, kw, W64) int64, the signs s.
        in_channels: C.
        stride, padding, dilation, groups: as in ``nn.Conv2d``; zero padding.
        prepared: :func:`prepare_weight` of the same filters.

    Returns:
        S, (N, O, H', W') int32 in channels_last memory.

    Raises:
        RuntimeError: A dtype, a shape, a size or the groups do not fit.
    """
    return torch.ops.cmim_mm.binary_conv2d(
        bits, weight, in_channels, stride, padding, dilation, groups, prepared)


def binary_conv2d_threshold(bits: Tensor, weight: Tensor, threshold: Tensor, flip: Tensor, in_channels: int,
                            stride: Size2d = 1, padding: Size2d = 0, dilation: Size2d = 1, groups: int = 1,
                            next_groups: int = 1, prepared: Optional[Tensor] = None) -> Tensor:
    """The next layer's bits, (S >= threshold_o) xor flip_o, where S alone decides them.

    Args:
        threshold: (O,) int32.
        flip: (O,) bool.
        next_groups: G of the convolution that reads the result.
        bits, weight, in_channels, stride, padding, dilation, groups, prepared: see :func:`binary_conv2d`.

    Returns:
        (N, H', W', next_groups ceil(O / next_groups / 64)) int64.

    Raises:
        RuntimeError: A dtype, a shape, a size or the groups do not fit.
    """
    return torch.ops.cmim_mm.binary_conv2d_threshold(
        bits, weight, threshold, flip, in_channels, stride, padding, dilation, groups, next_groups, prepared)


def binary_conv2d_fused(bits: Tensor, weight: Tensor, scale: Tensor, offset: Tensor, in_channels: int,
                        stride: Size2d = 1, padding: Size2d = 0, dilation: Size2d = 1, groups: int = 1,
                        window: Optional[Tensor] = None, border: Optional[Tensor] = None,
                        shortcut: Optional[Tensor] = None, nonlinearity: Optional[Tensor] = None,
                        low: Optional[float] = None, high: Optional[float] = None,
                        y_dtype: Optional[torch.dtype] = None, next_threshold: Optional[Tensor] = None,
                        next_groups: int = 1, prepared: Optional[Tensor] = None,
                        gain: Optional[Tensor] = None,
                        shortcut_affine: Optional[Tensor] = None) -> tuple[Tensor, Tensor]:
    """A convolution and all that follows it up to the next one, in one pass over the output.

    For each output, in float32, with T = sum of b over the taps of the group that lie inside::

        v = scale_o S                      convolution and the methods' scales
        v = v + window_o T                 where filters have an offset beta_o: beta_o * a
        v = gain_o v + offset_o            the norm
        v = v - border_ko                  for each tap k outside the image, in order: its share
        v = v + shortcut                   normed: shortcut_gain_o shortcut + shortcut_offset_o
        t = v + shift_in_o                 nonlinearity = (shift_in, positive, negative, shift_out)
        v = t (positive_o if t > 0 else negative_o) + shift_out_o
        v = min(max(v, low), high)         NaN stays NaN
        y = v, rounded to y_dtype          bit = v >= next_threshold_o

    Each line but the first is left out where its argument is None; without gain the third is v + offset_o. An
    activation a b + c with c != 0 adds c (alpha_o sum of s + beta_o n) over the n inputs inside: that of the
    whole filter goes into offset, each tap's share of it into border.

    Args:
        scale, offset, gain: (O,) float32.
        window: (O,) float32.
        border: (kh kw, O) float32.
        shortcut: (N, O, H', W'), float32 or bfloat16; fastest in channels_last memory.
        shortcut_affine: (2, O) float32, (shortcut_gain, shortcut_offset).
        nonlinearity: (4, O) float32.
        low, high: Bounds of the result, as Hardtanh's.
        y_dtype: float32, bfloat16 or None: no float map is written.
        next_threshold: (O,) float32, or None: no bits are written.
        next_groups: G of the convolution that reads the bits.
        bits, weight, in_channels, stride, padding, dilation, groups, prepared: see :func:`binary_conv2d`.

    Returns:
        y, (N, O, H', W') in channels_last memory, and the bits, (N, H', W', next_groups ceil(O / next_groups
        / 64)) int64; in place of one that was not asked for an empty tensor of shape (0,).

    Raises:
        RuntimeError: A dtype, a shape, a size or the groups do not fit, or neither y nor bits are asked for.
    """
    return torch.ops.cmim_mm.binary_conv2d_fused(
        bits, weight, scale, offset, in_channels, stride, padding, dilation, groups, window, border, shortcut,
        nonlinearity, low, high, y_dtype, next_threshold, next_groups, prepared, gain, shortcut_affine)


def stem_conv2d(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: Size2d = 1,
                padding: Size2d = 0, pool: Size2d = 1, pool_stride: Size2d = 1, pool_padding: Size2d = 0,
                affine: Optional[Tensor] = None, pool_first: bool = False) -> Tensor:
    """A full-precision convolution of few channels, a norm and a maximum over windows behind, in one pass.

        y[n, o] = max over the window, inside the map, of gain_o sum(w_o x over taps, channels) + shift_o

    In float32, row by row of the filter, in a row tap by tap, of a tap channel by channel; with AVX-512 and
    AVX2 each product is rounded once with its sum. So does oneDNN, to the same result; other kernels agree to
    rounding.

    Args:
        x: (N, C, H, W), float32 or bfloat16, in any memory order. Made for C of 1 to 4.
        weight: (O, C, kh, kw). With bfloat16 weights x is rounded to bfloat16. With int8 weights an image is
            quantized, q = round(127 x / m) with m its largest |x|; gain is that of (m / 127) sum of w q.
        bias: (O,) of the weight's dtype: shift, where gain is 1.
        stride, padding: Of the convolution; zero padding.
        pool, pool_stride, pool_padding: As ``nn.MaxPool2d``'s; padding is left out of the maximum.
        affine: (2, O) float32, (gain, shift), in place of a bias; int8 weights need one.
        pool_first: Whether gain and shift are those of a norm behind the maximum.

    Returns:
        (N, O, H', W') of the weight's dtype, bfloat16 for int8, in channels_last memory.

    Raises:
        RuntimeError: A dtype, a shape or a size does not fit.
    """
    return torch.ops.cmim_mm.stem_conv2d(x, weight, bias, stride, padding, pool, pool_stride,
                                         pool_padding, affine, pool_first)


def bilinear_labels(logits: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """``interpolate(logits, size, mode='bilinear').argmax(1)``, of which the first part is never in memory.

    bfloat16 is computed in float32. Kernels weight rows first, then columns: they agree with each other, and
    with torch to rounding. Of equal classes the lowest is taken, and NaN is the largest, as by
    ``argmax``; where two classes agree to rounding, the other one may be taken.

    Args:
        logits: (N, K, h, w), float32 or bfloat16; fastest in channels_last memory.
        size: (H, W).
        align_corners: As in ``F.interpolate``.

    Returns:
        (N, H, W) int64.

    Raises:
        RuntimeError: A dtype or a shape does not fit, or something has no pixels.
    """
    return torch.ops.cmim_mm.bilinear_labels(logits, size, align_corners)


def bilinear_sum(maps: Sequence[Tensor], size: Optional[Sequence[int]] = None, bias: Optional[Tensor] = None,
                 relu: bool = False, align_corners: bool = False) -> Tensor:
    """``relu(sum of interpolate(map, size, mode='bilinear') + bias)`` in one pass, summed in float32.

    Kernels weight rows first, then columns: they agree with each other, and with torch to rounding.

    Args:
        maps: One or more (N, C, h_i, w_i) of one dtype, float32 or bfloat16; fastest in channels_last memory.
        size: (H, W); by default the first map's. A map of that size is taken as it is.
        bias: (C,), float32 or bfloat16.
        relu: Whether negative sums become 0.
        align_corners: As in ``F.interpolate``.

    Returns:
        (N, C, H, W) of the maps' dtype, in channels_last memory.

    Raises:
        RuntimeError: There is no map, a dtype or a shape does not fit, or something has no pixels.
    """
    return torch.ops.cmim_mm.bilinear_sum(list(maps), size, bias, relu, align_corners)
