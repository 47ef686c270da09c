"""b(x) and the derivatives that estimators need, in few passes over memory.

A pass costs what the memory's bandwidth costs, so the functions work in place on tensors of their own; and
they stay in the tensor's dtype, because on a CPU kernels with a bool operand are ten times slower.
"""
import math
from typing import Optional, Union

import torch
from torch import Tensor


def at_least(x: Tensor, threshold: Union[Tensor, float]) -> Tensor:
    """1 where x >= threshold, else 0, in x's dtype; no gradient. Exact: a threshold keeps all its digits.

    Args:
        x: any shape.
        threshold: a number, or a tensor that broadcasts to x.
    """
    x = x.detach()
    if x.element_size() == 2 and not (isinstance(threshold, (int, float)) and threshold in (0, 0.5)):
        threshold = round_up(torch.as_tensor(threshold, device=x.device), x.dtype)
    elif isinstance(threshold, Tensor):
        threshold = threshold.detach()
    return torch.ge(x, threshold, out=reused(torch.empty_like(x))).to(x.dtype)


def reused(tensor: Tensor) -> Optional[Tensor]:
    """What to give as ``out``: nothing under a compiler, which plans memory itself and takes few others."""
    return None if torch.compiler.is_compiling() else tensor


def round_up(value: Tensor, dtype: torch.dtype) -> Tensor:
    """The smallest number of a 16-bit dtype that is >= value: what its numbers are compared with instead.

    A comparison of two dtypes is exact as well, but takes ten times as long on a CPU.
    """
    value = value.detach()
    rounded = value.to(dtype)
    bits = rounded.view(torch.int16)
    following = (bits + torch.where(bits < 0, -1, 1).to(bits.dtype)).view(dtype)
    return torch.where(rounded.to(value.dtype) < value, following, rounded)


def sign(x: Tensor, threshold: Union[Tensor, float] = 0.0) -> Tensor:
    """b(x - threshold) without a gradient: +1 where x >= threshold (-0.0 equals 0), else -1."""
    upper = at_least(x, threshold)
    return torch.add(-1, upper, alpha=2, out=reused(upper))


def between(grad: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """grad where low < x < high, else 0."""
    return torch.ops.aten.hardtanh_backward(grad, x, low, high)


def within(grad: Tensor, x: Tensor, low: int) -> Tensor:
    """grad where low <= x <= 1, else 0; low is -1 or 0."""
    number = torch.finfo(x.dtype)
    below = -1 - number.eps if low else -number.smallest_normal * number.eps
    return between(grad, x, below, 1 + number.eps)


def polynomial_slope(x: Tensor, std: Union[Tensor, float] = 1.0) -> Tensor:
    """max(0, 2 - 2|x / std|) / std: the polynomial estimator's derivative at x / std, by x."""
    return x.abs().mul_(-2 / std**2).add_(2 / std).clamp_min_(0)


def triangle_slope(x: Tensor, t: Tensor, k: Union[Tensor, float]) -> Tensor:
    """max(0, k (sqrt(2) t - t^2 |x|))."""
    return x.abs().mul_(-k * t**2).add_(math.sqrt(2) * k * t).clamp_min_(0)


def ede_gradient(grad: Tensor, x: Tensor, t: Tensor, k: Tensor) -> Tensor:
    """grad k t (1 - tanh^2(t x)), which is 4 k t s (1 - s) with s = sigmoid(2 t x)."""
    # On a CPU tanh takes eight times as long as sigmoid.
    return torch.ops.aten.sigmoid_backward(grad, (2 * t * x).sigmoid_()).mul_(4 * k * t)


def at_least_float32(x: Tensor) -> Tensor:
    """x with at least 32 bits: statistics of half-precision tensors overflow or lose the threshold."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def mean_abs(w: Tensor) -> Tensor:
    """Mean of |w| over each filter, constant: (O, I/g, kh, kw) -> (O, 1, 1, 1).

    Summed in float64, so that it is the same in every memory format.
    """
    return w.detach().abs().mean((1, 2, 3), keepdim=True, dtype=torch.float64).to(w.dtype)
