"""XNOR-Net (Rastegari et al. 2016)."""
import torch
from torch import Tensor

from ..registry import BINARIZERS
from .base import Binarizer, WeightForm
from .functions import mean_abs, open_clipped_ste, sign, straight_through, xnor_weight


@BINARIZERS.register_module()
class XNORNet(Binarizer):
    """Signs with one scale for each filter; the block order is BN -> sign -> convolution.

    - Weight: v = clamp(w - mean of w over its input channels, -1, 1);
      alpha_o b(v_o) with alpha_o = mean |v_o|;
      d/dw = alpha_o 1[|v| < 1] + 1/n, n = weights in a filter. The released
      training centres and clamps the stored weights in place, so the gradient
      with respect to v is the one with respect to w. A filter with a single
      input channel (depthwise) is not centred: nothing would be left of it.
    - Activation: b(a), d/da = 1[|a| < 1]. The paper's map K of input scales is
      left out, as in its released code.

    No parameters of its own. Rastegari et al., XNOR-Net, ECCV 2016, sec. 3.1.
    """
    block = 'plain'

    def weight_form(self, w: Tensor) -> WeightForm:
        centred = self._centre(w.detach())
        return WeightForm(sign(centred), mean_abs(centred))

    def binarize_weight(self, w: Tensor) -> Tensor:
        centred = straight_through(w, self._centre(w.detach()))
        return xnor_weight(centred, mean_abs(centred))

    def binarize_activation(self, x: Tensor) -> Tensor:
        return open_clipped_ste(x)

    @staticmethod
    def _centre(w: Tensor) -> Tensor:
        if w.shape[1] > 1:
            w = w - w.mean(1, keepdim=True, dtype=torch.float64).to(w.dtype)  # as in mean_abs
        return w.clamp(-1, 1)
