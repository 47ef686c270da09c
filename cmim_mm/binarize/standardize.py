"""(x - mean) / std of each filter or image, with a gradient that keeps only the result."""
import math

import torch
from torch import Tensor
from torch.autograd import Function

from .elementwise import at_least_float32

#: The axes of a filter, or of an image.
AXES = (1, 2, 3)
#: Smallest standard deviation that is divided by (a constant x[i] has none).
EPS = 1e-5


def degrees(x: Tensor, unbiased: bool = True) -> int:
    """What a sum of squares over x[i] is divided by; n where x[i] is one number."""
    n = math.prod(x.shape[1:])
    return n - int(unbiased and n > 1)


def deviation(x: Tensor, mean: Tensor, unbiased: bool = True, floor: float = EPS, eps: float = 0.0) -> Tensor:
    """max(sqrt(var + eps), floor) of each x[i]; mean and result are (N, 1, 1, 1)."""
    # Tensor.std is ten times slower on a CPU.
    variance = (x - mean).square_().sum(AXES, keepdim=True) / degrees(x, unbiased)
    return (variance + eps).sqrt_().clamp_min_(floor)


def standardized_gradient(grad: Tensor, v: Tensor, std: Tensor, unbiased: bool = True,
                          floor: float = EPS) -> Tensor:
    """Gradient of x, given that of v = (x - mean) / std with ``std`` from :func:`deviation`."""
    gradient = grad * v
    through_std = gradient.sum(AXES, keepdim=True) * (std > floor) / degrees(v, unbiased)
    torch.addcmul(grad, v, through_std, value=-1, out=gradient)
    return gradient.sub_(grad.mean(AXES, keepdim=True)).div_(std)


class _Standardize(Function):
    @staticmethod
    def forward(ctx, x, unbiased, floor, eps):
        mean = x.mean(AXES, keepdim=True)
        std = deviation(x, mean, unbiased, floor, eps)
        v = (x - mean).div_(std)
        ctx.save_for_backward(v, std)
        ctx.rest = unbiased, floor
        return v, mean, std

    @staticmethod
    def backward(ctx, grad, grad_mean, grad_std):
        v, std = ctx.saved_tensors
        unbiased, floor = ctx.rest
        gradient = standardized_gradient(grad, v, std, unbiased, floor)
        gradient.addcmul_(v, grad_std * (std > floor) / degrees(v, unbiased))
        return gradient.add_(grad_mean / degrees(v, unbiased=False)), None, None, None


def standardize(x: Tensor, unbiased: bool = True, floor: float = EPS,
                eps: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """v = (x - mean) / std of each x[i], with mean and std, and gradients through all three.

    std = max(sqrt(var + eps), floor); a constant x[i] gives zeros (up to rounding), not NaN.

    Args:
        x: (N, C, H, W); half precision is raised to float32.
        unbiased: divides the variance's sum by n - 1 instead of n.
        floor: smallest std.
        eps: added to the variance.

    Returns:
        v (N, C, H, W), mean (N, 1, 1, 1), std (N, 1, 1, 1).
    """
    return _Standardize.apply(at_least_float32(x), unbiased, floor, eps)
