"""IR-Net (Qin et al. 2020)."""

from torch import Tensor

from ..registry import BINARIZERS
from .base import Binarizer, WeightForm
from .functions import check_sharpness, ede_schedule, ede_sign, mean_abs
from .standardize import standardize


@BINARIZERS.register_module()
class IRNet(Binarizer):
    """Balanced, standardized weights (Libra) and an estimator that sharpens with training (EDE).

    - Weight: v = (w - mean_o) / std_o (unbiased, gradients through both);
      s_o b(v) with s_o = 2^round(log2(mean |v_o|)) (constant: a bit shift);
      db/dv = k t (1 - tanh^2(t v)).
    - Activation: b(a), d/da = k t (1 - tanh^2(t a)).
    - t = t_min (t_max / t_min)^p, k = max(1/t, 1) at progress p.

    No parameters of its own. Qin et al., Forward and Backward Information
    Retention for Accurate Binary Neural Networks, CVPR 2020.

    Args:
        t_min: sharpness t at progress 0.
        t_max: sharpness t at progress 1.
    """
    block = 'bireal'

    def __init__(self, in_channels: int, weight_shape: tuple[int, int, int, int],
                 t_min: float = 1e-2, t_max: float = 1e1) -> None:
        super().__init__(in_channels, weight_shape)
        check_sharpness(t_min, t_max)
        self.t_min, self.t_max = t_min, t_max

    def weight_form(self, w: Tensor) -> WeightForm:
        v = standardize(w)
        # The floor keeps log2 finite for a filter of equal weights (v = 0).
        scale = mean_abs(v).clamp_min(1e-8).log2().round().exp2()
        return WeightForm(ede_sign(v, *ede_schedule(self.progress, self.t_min, self.t_max)), scale)

    def binarize_activation(self, x: Tensor) -> Tensor:
        return ede_sign(x, *ede_schedule(self.progress, self.t_min, self.t_max))
