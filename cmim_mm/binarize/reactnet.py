"""ReActNet (Liu et al. 2020)."""

import torch
from torch import Tensor, nn

from ..registry import BINARIZERS
from .base import ActivationForm
from .bireal import BiReal
from .functions import polynomial_sign


@BINARIZERS.register_module()
class ReActNet(BiReal):
    """Bi-Real Net with a learned threshold for each input channel (RSign); blocks use RPReLU.

    - Weight: alpha_o b(w), alpha_o = mean |w_o| (constant); d/dw = 1[|w| <= 1].
    - Activation: b(a + shift_c), d/da = max(0, 2 - 2|a + shift_c|), the same for the shift.

    Liu et al., ReActNet, ECCV 2020.

    Attributes:
        shift: (1, C, 1, 1), starts at 0; the threshold is -shift.
    """
    block = 'react'

    def __init__(self, in_channels: int, weight_shape: tuple[int, int, int, int]) -> None:
        super().__init__(in_channels, weight_shape)
        self.shift = nn.Parameter(torch.zeros(1, in_channels, 1, 1))

    def activation_form(self, x: Tensor) -> ActivationForm:
        return ActivationForm(threshold=-self.shift)

    def binarize_activation(self, x: Tensor) -> Tensor:
        return polynomial_sign(x + self.shift)
