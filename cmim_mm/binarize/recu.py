"""ReCU (Xu et al. 2021)."""
import math

import torch
from torch import Tensor
from torch.autograd import Function

from ..registry import BINARIZERS
from .base import OutputScale, WeightForm
from .elementwise import at_least_float32, mean_abs, polynomial_slope, sign
from .functions import clamped_ste, polynomial_sign
from .standardize import AXES, degrees, deviation, standardize

#: What is added to variances.
VARIANCE_EPS = 1e-5


class _ScaledPolynomial(Function):
    """b(z) with z = x / std of each image; db/dz = max(0, 2 - 2|z|), gradients through std too."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx, grad):
        dtype = ctx.saved_tensors[0].dtype
        x, grad = at_least_float32(ctx.saved_tensors[0]), at_least_float32(grad)
        centred = x - x.mean(AXES, keepdim=True)
        std = deviation(centred, floor=0, eps=VARIANCE_EPS)
        grad = polynomial_slope(x, std).mul_(grad)
        by_std = (grad * x).sum(AXES, keepdim=True) / (std.square() * degrees(x))
        return grad.addcmul_(centred, by_std, value=-1).to(dtype)


@BINARIZERS.register_module()
class ReCU(OutputScale):
    """Weights clamped so that those far from zero can still change their sign (rectified clamp unit).

    - Weight: w0 = w - mean_o, w1 = 2 sqrt(2) w0 / sqrt(var_o(w0) + 1e-5),
      Q = -mean |w1| ln(2 - 2 tau) over the layer (constant);
      b(clamp(w1, -Q, Q)), straight through b, gradient through the rest.
      tau(p) = A e^p + B runs from tau_start to tau_end.
    - Activation: z = a / sqrt(var + 1e-5) in training, var over (C, H, W) of
      each image; b(z), db/dz = max(0, 2 - 2|z|).
    - Output times alpha_o.

    Xu et al., ReCU: Reviving the Dead Weights in Binary Neural Networks,
    ICCV 2021.

    Args:
        tau_start: tau at progress 0, above 0.5.
        tau_end: tau at progress 1, below 1.

    Attributes:
        alpha: (O, 1, 1), learned, starts at mean |w_o|.
    """
    block = 'bireal'

    def __init__(self, in_channels: int, weight_shape: tuple[int, int, int, int],
                 tau_start: float = 0.85, tau_end: float = 0.99) -> None:
        super().__init__(in_channels, weight_shape)
        if not 0.5 < tau_start <= tau_end < 1:
            raise ValueError(
                f'tau_start={tau_start}, tau_end={tau_end}: expected 0.5 < tau_start <= tau_end < 1')
        self.tau_start, self.tau_end = tau_start, tau_end

    def tau(self) -> Tensor:
        """The quantile at the current progress, 0-dimensional."""
        slope = (self.tau_end - self.tau_start) / (math.e - 1)
        return slope * (self.progress.exp() - 1) + self.tau_start

    def weight_form(self, w: Tensor) -> WeightForm:
        v = standardize(w, floor=0, eps=VARIANCE_EPS)
        bound = -mean_abs(v).mean() * torch.log(2 - 2 * self.tau())
        return WeightForm(clamped_ste(v, bound, gain=2 * math.sqrt(2)))

    def binarize_activation(self, x: Tensor) -> Tensor:
        return _ScaledPolynomial.apply(x) if self.training else polynomial_sign(x)
