"""Bi-Real Net (Liu et al. 2018)."""
from torch import Tensor

from ..registry import BINARIZERS
from .base import Binarizer, WeightForm
from .functions import mean_abs, polynomial_sign, scaled_clipped_ste, sign


@BINARIZERS.register_module()
class BiReal(Binarizer):
    """Signs with one scale for each filter, a polynomial estimator, a shortcut around every convolution.

    - Weight: alpha_o b(w), alpha_o = mean |w_o| (constant); d/dw = 1[|w| <= 1].
    - Activation: b(a), d/da = max(0, 2 - 2|a|).

    No parameters of its own. Liu et al., Bi-Real Net, ECCV 2018;
    the weight's gradient is that of the released code.
    """
    block = 'bireal'

    def weight_form(self, w: Tensor) -> WeightForm:
        return WeightForm(sign(w), mean_abs(w))

    def binarize_weight(self, w: Tensor) -> Tensor:
        return scaled_clipped_ste(w, mean_abs(w))

    def binarize_activation(self, x: Tensor) -> Tensor:
        return polynomial_sign(x)
