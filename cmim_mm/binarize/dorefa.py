"""DoReFa-Net at one bit (Zhou et al. 2016)."""
from torch import Tensor

from ..registry import BINARIZERS
from .base import ActivationForm, Binarizer, WeightForm
from .functions import scaled_ste, sign, step


@BINARIZERS.register_module()
class DoReFa(Binarizer):
    """One scale for the whole layer; activations are 0 and 1.

    - Weight: E b(w), E = mean |w| over the layer (constant); d/dw = 1.
    - Activation: [a >= 0.5] in {0, 1}, d/da = 1[0 <= a <= 1]; as a packed
      form (s + 1)/2 with s = b(a - 0.5).

    No parameters of its own. Zhou et al., DoReFa-Net, arXiv 1606.06160.
    """
    block = 'plain'

    def weight_form(self, w: Tensor) -> WeightForm:
        return WeightForm(sign(w), self._scale(w).expand(len(w), 1, 1, 1))

    def activation_form(self, x: Tensor) -> ActivationForm:
        return ActivationForm(threshold=0.5, scale=0.5, offset=0.5)

    def binarize_weight(self, w: Tensor) -> Tensor:
        return scaled_ste(w, self._scale(w))

    def binarize_activation(self, x: Tensor) -> Tensor:
        return step(x)

    @staticmethod
    def _scale(w: Tensor) -> Tensor:
        return w.detach().abs().mean()
