"""The 1-bit function b(x) with each gradient estimator, and the schedules and statistics they share.

b(x) = +1 where x >= 0, else -1. It has no useful derivative, so every method
puts another one in its place; that is all in which the functions here differ.
Each keeps only its input for the backward pass. Shapes are free: the output has
the input's shape and dtype. ``t`` and ``k`` are 0-dimensional tensors.
"""
import math

import torch
from torch import Tensor
from torch.autograd import Function

#: Smallest standard deviation that :func:`standardize` divides by (a constant input has none).
EPS = 1e-5


def sign(x: Tensor) -> Tensor:
    """b(x) without a gradient: +1 where x >= 0 (0 and -0.0 included), else -1."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


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
        return sign(x) * scale


class _STE(Function):
    @staticmethod
    def forward(ctx, x):
        return sign(x)

    @staticmethod
    def backward(ctx, grad):
        return grad


class _ScaledSTE(Function):
    @staticmethod
    def forward(ctx, x, scale):
        return sign(x) * scale

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
        return grad.masked_fill(x.abs() > 1, 0)


class _OpenClippedSTE(SignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        return grad.masked_fill(x.abs() >= 1, 0)


class _Polynomial(SignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        return grad * (2 - 2 * x.abs()).clamp_min(0)


class _EDE(SignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, t, k = ctx.saved_tensors
        return grad * (k * t * (1 - torch.tanh(t * x).square())), None, None


class _Triangle(SignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, t, k = ctx.saved_tensors
        return grad * (k * (math.sqrt(2) * t - (t * t) * x.abs()).clamp_min(0)), None, None


class _ScaledClippedSTE(ScaledSignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, _ = ctx.saved_tensors
        return grad.masked_fill(x.abs() > 1, 0), None


class _XNORWeight(ScaledSignEstimator):
    @staticmethod
    def backward(ctx, grad):
        x, scale = ctx.saved_tensors
        return grad * ((x.abs() < 1) * scale + 1 / x[0].numel()), None


class _Step(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x >= 0.5).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        return grad.masked_fill((x < 0) | (x > 1), 0)


def ste(x: Tensor) -> Tensor:
    """b(x); d/dx = 1 (straight-through estimator; Bengio et al. 2013)."""
    return _STE.apply(x)


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


def ede_sign(x: Tensor, t: Tensor, k: Tensor) -> Tensor:
    """b(x); d/dx = k t (1 - tanh^2(t x)), the error decay estimator (IR-Net)."""
    return _EDE.apply(x, t, k)


def triangle_sign(x: Tensor, t: Tensor, k: Tensor) -> Tensor:
    """b(x); d/dx = max(0, k (sqrt(2) t - t^2 |x|)), the training-aware approximation (RBNN)."""
    return _Triangle.apply(x, t, k)


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


def at_least_float32(x: Tensor) -> Tensor:
    """x with at least 32 bits: statistics of half-precision tensors overflow or lose the threshold."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def mean_abs(w: Tensor) -> Tensor:
    """Mean of |w| over each filter, constant: (O, I/g, kh, kw) -> (O, 1, 1, 1)."""
    return w.detach().abs().mean((1, 2, 3), keepdim=True)


def correction(x: Tensor) -> int:
    """What torch.std subtracts from n for the unbiased estimate of x[i]; 0 where x[i] is one number."""
    return int(x[0].numel() > 1)


def standardize(x: Tensor) -> Tensor:
    """(x - mean) / std over all but the first axis, unbiased std, gradients through both.

    A constant x[i] gives zeros (up to rounding), not NaN.
    """
    x = at_least_float32(x)
    centred = x - x.mean((1, 2, 3), keepdim=True)
    std = centred.std((1, 2, 3), correction=correction(x), keepdim=True)
    return centred / std.clamp_min(EPS)
