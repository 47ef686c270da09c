"""The 1-bit function b(x) with each gradient estimator, and the schedules they share.

b(x) = +1 where x >= 0, else -1. It has no useful derivative, so every method
puts another one in its place; that is all in which the functions here differ.
Each keeps only its input for the backward pass. Shapes are free: the output has
the input's shape and dtype. ``t`` and ``k`` are 0-dimensional tensors.
"""
import math

import torch
from torch import Tensor
from torch.autograd import Function

from .elementwise import (
    at_least,
    at_least_float32,
    between,
    ede_gradient,
    mean_abs,
    polynomial_slope,
    sign,
    within,
)

__all__ = [
    'ScaledSignEstimator', 'SignEstimator', 'at_least_float32', 'check_sharpness', 'clamped_ste',
    'clipped_ste', 'ede_schedule', 'ede_sign', 'mean_abs', 'open_clipped_ste', 'polynomial_sign',
    'scaled_clipped_ste', 'scaled_ste', 'shifted_polynomial_sign', 'sign', 'step', 'straight_through',
    'xnor_weight',
]


class SignEstimator(Function):
    """Forward b(x); a subclass adds ``backward``. Further arguments are 0-dimensional tensors."""

    @staticmethod
    def forward(ctx, x, *schedule):
        ctx.save_for_backward(x, *schedule)
        return sign(x)


class ScaledSignEstimator(Function):
    """Forward scale * b(x), the scale being constant; a subclass adds ``backward``."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x, scale)
        return sign(x).mul_(scale)


class _ScaledSTE(Function):
    @staticmethod
    def forward(ctx, x, scale):
        return sign(x).mul_(scale)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class _StraightThrough(Function):
    @staticmethod
    def forward(ctx, x, value):
        return value.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class _ClippedSTE(SignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        return within(grad, x, -1)


class _OpenClippedSTE(SignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        return between(grad, x, -1, 1)


class _Polynomial(SignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        return polynomial_slope(x).mul_(grad)


class _EDE(SignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, t, k = ctx.saved_tensors
        return ede_gradient(grad, x, t, k), None, None


class _ScaledClippedSTE(ScaledSignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, _ = ctx.saved_tensors
        return within(grad, x, -1), None


class _XNORWeight(ScaledSignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, scale = ctx.saved_tensors
        return between(grad, x, -1, 1).mul_(scale).add_(grad, alpha=1 / x[0].numel()), None


class _ClampedSTE(Function):
    @staticmethod
    def forward(ctx, x, bound, gain):
        ctx.save_for_backward(x, bound)
        ctx.gain = gain
        return sign(x)

    @staticmethod
    def backward(ctx, grad):
        x, bound = ctx.saved_tensors
        return x.abs().le_(bound).mul_(ctx.gain).mul_(grad), None, None


class _ShiftedPolynomial(Function):
    @staticmethod
    def forward(ctx, x, shift):
        ctx.save_for_backward(x, shift)
        return sign(x, -shift)

    @staticmethod
    def backward(ctx, grad):
        x, shift = ctx.saved_tensors
        grad = polynomial_slope(x + shift.to(x.dtype)).mul_(grad)
        return grad, grad.sum_to_size(shift.shape).to(shift.dtype)


class _Step(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return at_least(x, 0.5)

    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        return within(grad, x, 0)


def scaled_ste(x: Tensor, scale: Tensor) -> Tensor:
    """scale * b(x); d/dx = 1, whatever the (constant) scale (DoReFa-Net)."""
    return _ScaledSTE.apply(x, scale)


def straight_through(x: Tensor, value: Tensor) -> Tensor:
    """value, exactly; d/dx = 1, as if value were x."""
    return _StraightThrough.apply(x, value)


def clipped_ste(x: Tensor) -> Tensor:
    """b(x); d/dx = 1[|x| <= 1] (BNN, eq. 4)."""
    return _ClippedSTE.apply(x)


def open_clipped_ste(x: Tensor) -> Tensor:
    """b(x); d/dx = 1[|x| < 1] (XNOR-Net); differs from :func:`clipped_ste` at +-1 alone."""
    return _OpenClippedSTE.apply(x)


def scaled_clipped_ste(x: Tensor, scale: Tensor) -> Tensor:
    """scale * b(x); d/dx = 1[|x| <= 1], whatever the (constant) scale (Bi-Real Net)."""
    return _ScaledClippedSTE.apply(x, scale)


def xnor_weight(w: Tensor, scale: Tensor) -> Tensor:
    """scale_o * b(w); d/dw = scale_o * 1[|w| < 1] + 1/n, n weights a filter (XNOR-Net, sec. 3.1).

    Args:
        w: (O, I/g, kh, kw).
        scale: (O, 1, 1, 1), constant.
    """
    return _XNORWeight.apply(w, scale)


def polynomial_sign(x: Tensor) -> Tensor:
    """b(x); d/dx = 2 + 2x on [-1, 0), 2 - 2x on [0, 1), else 0: max(0, 2 - 2|x|) (Bi-Real Net)."""
    return _Polynomial.apply(x)


def shifted_polynomial_sign(x: Tensor, shift: Tensor) -> Tensor:
    """b(x + shift); both derivatives are max(0, 2 - 2|x + shift|) (ReActNet's RSign).

    Args:
        x: (N, C, H, W).
        shift: broadcasts to x, e.g. (1, C, 1, 1).
    """
    return _ShiftedPolynomial.apply(x, shift)


def clamped_ste(x: Tensor, bound: Tensor, gain: float) -> Tensor:
    """b(x); d/dx = gain 1[|x| <= bound]: b of gain x clamped, the bound constant and 0-dimensional (ReCU)."""
    return _ClampedSTE.apply(x, bound, gain)


def ede_sign(x: Tensor, t: Tensor, k: Tensor) -> Tensor:
    """b(x); d/dx = k t (1 - tanh^2(t x)), the error decay estimator (IR-Net)."""
    return _EDE.apply(x, t, k)


def step(x: Tensor) -> Tensor:
    """1 where x >= 0.5, else 0; d/dx = 1[0 <= x <= 1] (DoReFa-Net at one bit)."""
    return _Step.apply(x)


def ede_schedule(progress: Tensor, t_min: float, t_max: float) -> tuple[Tensor, Tensor]:
    """Sharpness t = t_min (t_max / t_min)^p and gain k = max(1/t, 1) at progress p (IR-Net)."""
    low, high = math.log10(t_min), math.log10(t_max)
    t = torch.pow(10.0, low + progress * (high - low))
    return t, (1 / t).clamp_min(1)


def check_sharpness(t_min: float, t_max: float) -> None:
    """Raises ValueError unless 0 < t_min <= t_max."""
    if not 0 < t_min <= t_max:
        raise ValueError(f't_min={t_min}, t_max={t_max}: expected 0 < t_min <= t_max')
