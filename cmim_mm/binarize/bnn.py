"""BNN (Hubara et al. 2016)."""
from torch import Tensor

from ..registry import BINARIZERS
from .base import Binarizer, WeightForm
from .functions import clipped_ste


@BINARIZERS.register_module()
class BNN(Binarizer):
    """Signs alone.

    - Weight: b(w), d/dw = 1[|w| <= 1].
    - Activation: b(a), d/da = 1[|a| <= 1].

    No parameters of its own. Hubara et al., Binarized Neural Networks,
    NeurIPS 2016, eqs. 1 and 4.
    """
    block = 'plain'

    def weight_form(self, w: Tensor) -> WeightForm:
        return WeightForm(clipped_ste(w))

    def binarize_activation(self, x: Tensor) -> Tensor:
        return clipped_ste(x)
