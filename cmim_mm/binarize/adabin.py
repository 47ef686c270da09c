"""AdaBin (Tu et al. 2022)."""

import torch
from torch import Tensor, nn

from ..registry import BINARIZERS
from .base import ActivationForm, Binarizer, WeightForm
from .functions import EPS, at_least_float32, check_sharpness, ede_schedule, ede_sign, polynomial_sign


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
        w = at_least_float32(w)
        beta = w.mean((1, 2, 3), keepdim=True)
        alpha = w.std((1, 2, 3), correction=0, keepdim=True).clamp_min(EPS)
        t, k = ede_schedule(self.progress, self.t_min, self.t_max)
        return WeightForm(ede_sign((w - beta) / alpha, t, k), alpha, beta)

    def activation_form(self, x: Tensor) -> ActivationForm:
        return ActivationForm(self.beta_a, self._magnitude(), self.alpha_a * self.beta_a)

    def binarize_activation(self, x: Tensor) -> Tensor:
        magnitude = self._magnitude()
        s = polynomial_sign((at_least_float32(x) - self.beta_a) / magnitude)
        return magnitude * s + self.alpha_a * self.beta_a

    def _magnitude(self) -> Tensor:
        return self.alpha_a.abs().clamp_min(EPS)
