"""AdaBin (Tu et al. 2022)."""

import torch
from torch import Tensor, nn
from torch.autograd import Function

from ..registry import BINARIZERS
from .base import ActivationForm, Binarizer, WeightForm
from .elementwise import at_least_float32, ede_gradient, polynomial_slope, sign
from .functions import check_sharpness, ede_schedule
from .standardize import AXES, EPS, statistics, statistics_gradient


class _TwoValues(Function):
    """scale b(z) + offset with z = (x - beta) / scale; db/dz = max(0, 2 - 2|z|)."""

    @staticmethod
    def forward(ctx, x, beta, scale, offset):
        ctx.save_for_backward(x, beta, scale)
        return sign(x, beta).mul_(scale).add_(offset)

    @staticmethod
    def backward(ctx, grad):
        x, beta, scale = ctx.saved_tensors
        grad = at_least_float32(grad)
        z = (at_least_float32(x) - beta).div_(scale)
        gradient = polynomial_slope(z).mul_(grad)
        by_value = sign(z).mul_(grad).sum()
        return (gradient.to(x.dtype), -gradient.sum(), by_value - z.mul_(gradient).sum(),
                grad.sum())


class _TwoValuedFilter(Function):
    """std b(v) + mean with v = (w - mean) / std of each filter; db/dv as in ede_sign."""

    @staticmethod
    def forward(ctx, w, t, k):
        v, mean, std = statistics(w, unbiased=False)
        ctx.save_for_backward(w, mean, std, t, k)
        return sign(v).mul_(std).add_(mean)

    @staticmethod
    def backward(ctx, grad):
        w, mean, std, t, k = ctx.saved_tensors
        v = (w - mean).div_(std)
        grad_mean, grad_std = (g.sum(AXES, keepdim=True) for g in (grad, sign(v).mul_(grad)))
        grad_v = ede_gradient(grad, v, t, k).mul_(std)
        grad_w = statistics_gradient(v, std, grad_v, grad_mean, grad_std, unbiased=False)
        return grad_w.to(w.dtype), None, None


@BINARIZERS.register_module()
class AdaBin(Binarizer):
    """Two free values instead of -1 and +1, for each filter and for each layer's input.

    - Weight: beta_o = mean w_o, alpha_o = sqrt(mean (w_o - beta_o)^2);
      alpha_o b(v) + beta_o with v = (w - beta_o) / alpha_o, gradients through
      alpha_o and beta_o too; db/dv = k t (1 - tanh^2(t v)), t and k as in IR-Net.
    - Activation: alpha_a (b(z) + beta_a) with z = (a - beta_a) / alpha_a, as the
      released code has it; db/dz = max(0, 2 - 2|z|). Written below as
      |alpha_a| b((a - beta_a) / |alpha_a|) + alpha_a beta_a, which is the same
      function, so that a = beta_a takes the upper value for either sign.

    The block's nonlinearity is Maxout. Tu et al., AdaBin, ECCV 2022.

    Args:
        t_min: sharpness t of the weight's estimator at progress 0.
        t_max: the same at progress 1.

    Attributes:
        alpha_a: (), learned half distance of the activation's two values, starts at 1.
        beta_a: (), learned threshold and centre of the activation, starts at 0.
    """
    block = 'maxout'

    def __init__(self, in_channels: int, weight_shape: tuple[int, int, int, int],
                 t_min: float = 1e-2, t_max: float = 1e1) -> None:
        super().__init__(in_channels, weight_shape)
        check_sharpness(t_min, t_max)
        self.t_min, self.t_max = t_min, t_max
        self.alpha_a = nn.Parameter(torch.ones(()))
        self.beta_a = nn.Parameter(torch.zeros(()))

    def weight_form(self, w: Tensor) -> WeightForm:
        v, beta, alpha = statistics(w, unbiased=False)
        return WeightForm(sign(v), alpha, beta)

    def binarize_weight(self, w: Tensor) -> Tensor:
        return _TwoValuedFilter.apply(w, *ede_schedule(self.progress, self.t_min, self.t_max))

    def activation_form(self, x: Tensor) -> ActivationForm:
        return ActivationForm(self.beta_a, self._magnitude(), self.alpha_a * self.beta_a)

    def binarize_activation(self, x: Tensor) -> Tensor:
        return _TwoValues.apply(x, *self.activation_form(x))

    def _magnitude(self) -> Tensor:
        return self.alpha_a.abs().clamp_min(EPS)
