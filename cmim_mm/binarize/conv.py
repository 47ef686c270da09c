"""BinaryConv2d: a 2-D convolution of binary activations with binary weights."""
from typing import Optional, Union

import torch
from torch import Tensor, nn

from ..registry import MODELS
from .base import ActivationForm, WeightForm, build_binarizer, is_number
from .convolve import convolve

Size2d = Union[int, tuple[int, int]]


@MODELS.register_module()
class BinaryConv2d(nn.Conv2d):
    """y = output_scale * conv2d(binary_input(x), binary_weight(), bias), the scale being 1 for most methods.

    In evaluation without gradients, in 32 bits or more, y = sum_scale S + bias, unless filters or activations
    have an offset. S, the sum of products of signs, is an integer: exact in any order, on any device, in any
    memory format. 16 bits do not hold it: there, and under autocast, y is computed as in training.

    Takes the place of ``nn.Conv2d`` anywhere; in MM modules by
    ``conv_cfg=dict(type='cmim_mm.BinaryConv2d', binarizer='IRNet')``. Stride,
    padding, dilation, groups, bias and padding_mode mean what they mean there.
    Zero padding pads the binary tensor and contributes 0, neither -1 nor +1.
    ``weight`` is the latent, real-valued weight; the optimizer trains it.

    What comes before matters: after a ReLU no input is negative, so most
    methods would see +1 everywhere. Use Hardtanh or PReLU there.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
            device, dtype: as in ``nn.Conv2d``, but without a bias by default.
        binarizer: name of the method, or ``dict(type=name, **its arguments)``.

    Shape:
        x (N, C, H, W) -> y (N, O, H', W').

    Attributes:
        recording: while True, ``last_pair`` is kept in training mode; a backbone's ``taps`` sets it.
        last_pair: (latent x, binary input of x) of the last forward pass, with their gradients.

    Raises:
        KeyError: an unknown binarizer; the message lists the valid names.
    """
    recording: bool = False
    last_pair: Optional[tuple[Tensor, Tensor]] = None

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Size2d, stride: Size2d = 1,
                 padding: Union[Size2d, str] = 0, dilation: Size2d = 1, groups: int = 1, bias: bool = False,
                 padding_mode: str = 'zeros', binarizer: Union[str, dict] = 'ReActNet',
                 device: Union[torch.device, str, None] = None,
                 dtype: Union[torch.dtype, None] = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
                         padding_mode, device=device, dtype=dtype)
        self.binarizer = build_binarizer(binarizer, in_channels, self.weight)

    def init_weights(self) -> None:
        """Sets the binarizer's own parameters from the weights; MMEngine calls it after ``init_cfg``.

        mmcv's ConvModule leaves the weights of a layer that has this method at torch's initialization.
        """
        self.binarizer.init_parameters(self.weight.detach())

    def binary_weight(self) -> Tensor:
        """What the convolution multiplies with, (O, I/g, kh, kw): two values for each output channel."""
        return self.binarizer.binarize_weight(self.weight).to(self.weight.dtype)

    def binary_input(self, x: Tensor) -> Tensor:
        """What the convolution gets for x, (N, C, H, W), before padding: two values."""
        return self.binarizer.binarize_activation(x).to(x.dtype)

    def weight_form(self) -> WeightForm:
        """``binary_weight()`` as scale * sign + offset."""
        return self.binarizer.weight_form(self.weight)

    def activation_form(self, x: Tensor) -> ActivationForm:
        """``binary_input(x)`` as scale * b(x - threshold) + offset."""
        return self.binarizer.activation_form(x)

    def start_epoch(self) -> None:
        """What the method does once an epoch; nothing in eval mode, so a frozen layer stays as it is."""
        if self.training:
            self.binarizer.start_epoch(self.weight.detach())

    def sum_scale(self, weight: WeightForm, form: ActivationForm) -> Tensor:
        """What a sum of signs is multiplied by: gamma alpha a, (O,) or (1,)."""
        alpha, a = (torch.as_tensor(part, dtype=self.weight.dtype, device=self.weight.device).flatten()
                    for part in (weight.scale, form.scale))
        gamma = self.binarizer.output_scale()
        return alpha * a if gamma is None else gamma.flatten() * alpha * a

    def scaled_bias(self) -> Optional[Tensor]:
        """gamma bias, (O,); None without a bias."""
        gamma = self.binarizer.output_scale()
        return self.bias if self.bias is None or gamma is None else gamma.flatten() * self.bias

    def _evaluate(self, x: Tensor) -> Optional[Tensor]:
        """y by the sum of signs; None where 16 bits or an offset stand in the way, or it is not 1-bit."""
        if x.element_size() < 4 or torch.is_autocast_enabled(x.device.type):
            return None
        try:
            weight, form = self.weight_form(), self.activation_form(x)
        except (ValueError, NotImplementedError):
            return None
        if not (is_number(weight.offset, 0) and is_number(form.offset, 0)):
            return None
        signs = form._replace(scale=1.0).value(x).to(x.dtype)
        s = self._conv_forward(signs, weight.sign.to(self.weight.dtype), None)
        s = s.round_()  # Winograd's algorithm is off by a little
        y = s.mul_(self.sum_scale(weight, form).to(s.dtype).view(-1, 1, 1))
        bias = self.scaled_bias()
        return y if bias is None else y + bias.view(-1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training or torch.is_grad_enabled() or torch.jit.is_tracing()):
            y = self._evaluate(x)
            if y is not None:
                return y
        binary = self.binary_input(x)
        if self.recording and self.training:
            self.last_pair = x, binary
        weight, scale = self.binary_weight(), self.binarizer.output_scale()
        if scale is not None:
            # In the filters it costs no pass over the output, and 0 is no special case.
            weight = weight * scale.unsqueeze(-1)
        return convolve(self, binary, x, weight, self.scaled_bias())
