"""ReActNet (Liu et al. 2020)."""

import torch
from torch import Tensor, nn

from ..registry import BINARIZERS
from .base import ActivationForm, WeightForm
from .bireal import BiReal
from .functions import shifted_polynomial_sign


@BINARIZERS.register_module()
class ReActNet(BiReal):
    """Bi-Real Net with a learned threshold for each input channel (RSign); blocks use RPReLU.

    - Weight: alpha_o b(w), alpha_o = mean |w_o| (constant); d/dw = 1[|w| <= 1].
    - Activation: b(a + shift_c), d/da = max(0, 2 - 2|a + shift_c|), the same for the shift.

    Liu et al., ReActNet, ECCV 2020.

    Args:
        real_weights: Leaves the weight as it is: the first of the paper's two steps of training, whose
            weights the second one, without it, starts from. Both have the same ``state_dict`` keys.

    Attributes:
        shift: (1, C, 1, 1), starts at 0; the threshold is -shift.
    """
    block = 'react'

    def __init__(self, in_channels: int, weight_shape: tuple[int, int, int, int],
                 real_weights: bool = False) -> None:
        super().__init__(in_channels, weight_shape)
        self.real_weights = real_weights
        self.shift = nn.Parameter(torch.zeros(1, in_channels, 1, 1))

    def weight_form(self, w: Tensor) -> WeightForm:
        if self.real_weights:
            raise ValueError('ReActNet(real_weights=True): the weight is not 1-bit, so it cannot be packed; '
                             "train the second step, binarizer='ReActNet', from these weights first")
        return super().weight_form(w)

    def binarize_weight(self, w: Tensor) -> Tensor:
        return w if self.real_weights else super().binarize_weight(w)

    def activation_form(self, x: Tensor) -> ActivationForm:
        return ActivationForm(threshold=-self.shift)

    def binarize_activation(self, x: Tensor) -> Tensor:
        return shifted_polynomial_sign(x, self.shift)
