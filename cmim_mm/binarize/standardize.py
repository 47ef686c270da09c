"""(x - mean) / std of each filter or image, with a gradient that keeps only the result."""
import math
from typing import Union

import torch
from torch import Tensor
from torch.autograd import Function

from .elementwise import at_least_float32, reused

#: The axes of a filter, or of an image.
AXES = (1, 2, 3)
#: Smallest standard deviation that is divided by (a constant x[i] has none).
EPS = 1e-5


def degrees(x: Tensor, unbiased: bool = True) -> int:
    """What a sum of squares over x[i] is divided by; n where x[i] is one number."""
    n = math.prod(x.shape[1:])
    return n - int(unbiased and n > 1)


def deviation(centred: Tensor, unbiased: bool = True, floor: float = EPS, eps: float = 0.0) -> Tensor:
    """max(sqrt(var + eps), floor) of each x[i], (N, 1, 1, 1), from x - mean."""
    # Tensor.std is ten times slower on a CPU.
    variance = centred.square().sum(AXES, keepdim=True) / degrees(centred, unbiased)
    return (variance + eps).sqrt_().clamp_min_(floor)


def statistics(x: Tensor, unbiased: bool = True, floor: float = EPS,
               eps: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """v = (x - mean) / std of each x[i], mean and std, without a gradient.

    Args:
        x: (N, C, H, W); half precision is raised to float32.
        unbiased: divides the variance's sum by n - 1 instead of n.
        floor: smallest std.
        eps: added to the variance.

    Returns:
        v (N, C, H, W), mean (N, 1, 1, 1), std (N, 1, 1, 1).
    """
    x = at_least_float32(x.detach())
    mean = x.mean(AXES, keepdim=True)
    v = x - mean
    std = deviation(v, unbiased, floor, eps)
    return v.div_(std), mean, std


def statistics_gradient(v: Tensor, std: Tensor, grad: Tensor, grad_mean: Union[Tensor, float] = 0.0,
                        grad_std: Union[Tensor, float] = 0.0, unbiased: bool = True,
                        floor: float = EPS) -> Tensor:
    """Gradient of x, given those of v, mean and std from :func:`statistics`."""
    gradient = grad * v
    by_std = (grad_std * std - gradient.sum(AXES, keepdim=True)) * (std > floor) / degrees(v, unbiased)
    by_mean = grad_mean * std / degrees(v, unbiased=False) - grad.mean(AXES, keepdim=True)
    gradient = torch.addcmul(grad, v, by_std, out=reused(gradient))
    return gradient.add_(by_mean).div_(std)


class _Standardize(Function):
    @staticmethod
    def forward(ctx, x, floor, eps):
        v, _, std = statistics(x, floor=floor, eps=eps)
        ctx.save_for_backward(v, std)
        ctx.floor = floor
        return v

    @staticmethod
    def backward(ctx, grad):
        return statistics_gradient(*ctx.saved_tensors, grad, floor=ctx.floor), None, None


def standardize(x: Tensor, floor: float = EPS, eps: float = 0.0) -> Tensor:
    """(x - mean) / max(sqrt(var + eps), floor) of each x[i], unbiased, gradients through mean and var.

    A constant x[i] gives zeros (up to rounding), not NaN. (N, C, H, W) -> (N, C, H, W).
    """
    return _Standardize.apply(at_least_float32(x), floor, eps)
