"""A binary convolution with 1-bit weights, together with what follows it up to the next one."""
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.binarize.base import is_number

from . import ops
from .geometry import conv_geometry
from .nonlinear import Nonlinear, is_affine, norm_affine, norm_as_computed
from .sign_conv import SignConv2d, vector


class PackedConv2d(SignConv2d):
    """v = gain_o (scale_o S + window_o T) + offset_o + c's share; y = nonlinear(v + shortcut).

    S and T are the sums of s b and of b over the taps inside the image. With the binarizer's weight
    alpha_o s + beta_o, activation a b + c, output scale gamma_o and bias::

        scale = gamma alpha a,  window = gamma beta a,  level = c / a,  offset = gamma bias
        c's share of a tap = level (scale * sum of s over its channels + window * their number)

    ``fold_norm`` takes in a batch norm behind it, ``fold_shortcut_norm`` the last norm of the shortcut,
    ``fold_nonlinear`` a nonlinearity. Where no offset (beta, c, bias) is, every step is rounded as in the
    trained modules. Elsewhere the norm is multiplied into the numbers above, in float64.

    Attributes:
        scale, offset: (O,) float32.
        window: (O,); None for methods whose filters have no beta.
        level: (1,); None for methods whose activations have no c.
        gain: (O,), of the norm; None where there is none, or it is in scale and window.
        shortcut_affine: (2, O), gain and offset of the shortcut's norm, or None.
        shift_in, positive, negative, shift: (O,), of the nonlinearity; None where it has none a channel.
        writes_map: Whether a call returns y.
        y_dtype: Of y.
        next_groups: Groups of the convolution for which a call packs bits.

    Args:
        conv: The trained layer, in eval mode.
        folded: Whether norms and ``shift_in`` are always in scale, window and offset, as in the first files.

    Raises:
        ValueError: Its weights are not 1-bit.
    """

    def __init__(self, conv: BinaryConv2d, folded: bool = False) -> None:
        super().__init__(conv)
        self.folded, self.has_bias = folded, conv.bias is not None
        self.low: Optional[float] = None
        self.high: Optional[float] = None
        self.writes_map, self.y_dtype, self.next_groups = True, torch.float32, 1
        with torch.no_grad():
            weight = conv.weight_form()
            form = conv.activation_form(conv.weight.new_zeros(1, conv.in_channels, 1, 1))
            a, gamma = vector(form.scale), conv.binarizer.output_scale()
            gamma = torch.ones(1) if gamma is None else gamma.flatten()
            bias = conv.scaled_bias()
            self._add('scale', conv.sum_scale(weight, form).expand(self.out_channels))
            self._add('offset', torch.zeros(self.out_channels) if bias is None else bias)
            self._add('window', None if is_number(weight.offset, 0) else gamma * vector(weight.offset) * a)
            self._add('level', None if is_number(form.offset, 0) else vector(form.offset) / a,
                      isinstance(form.offset, Tensor))
        for name in ('gain', 'shortcut_affine', 'shift_in', 'positive', 'negative', 'shift'):
            self._add(name, None)

    @property
    def is_monotone(self) -> bool:
        """Whether y depends on x through S alone."""
        return self.window is None and self.level is None

    def fold_norm(self, norm: nn.Module) -> bool:
        """Takes in a batch norm behind the convolution; False where it is none."""
        if not is_affine(norm):
            return False
        if self.is_monotone and not self.has_bias and not self.folded:
            gain, shift = norm_as_computed(norm)
            self._add('gain', gain)
            self.offset.copy_(shift)
            return True
        gain, shift = norm_affine(norm)
        self.offset.copy_(self.offset * gain + shift)
        for part in (self.scale, self.window):
            if part is not None:
                part.copy_(part * gain)
        return True

    def fold_shortcut_norm(self, norm: nn.Module) -> None:
        """Takes in a batch norm at the shortcut's end."""
        self._add('shortcut_affine', norm_as_computed(norm))

    def fold_nonlinear(self, form: Nonlinear) -> None:
        """Takes in a nonlinearity behind the convolution, its norm and its shortcut."""
        self.low, self.high = form.low, form.high
        if self.folded:
            self.offset.add_(form.shift_in)
            form = form._replace(shift_in=0.0)
        for name, value, neutral in (('shift_in', form.shift_in, 0.0), ('positive', form.positive, 1.0),
                                     ('negative', form.negative, 1.0), ('shift', form.shift_out, 0.0)):
            if isinstance(value, Tensor) or value != neutral:
                self._add(name, torch.as_tensor(value).expand(self.out_channels), isinstance(value, Tensor))

    def prepare(self) -> 'PackedConv2d':
        """As in ``SignConv2d``."""
        super().prepare()
        border = nonlinearity = None
        offset = self.offset
        if self.level is not None:
            share = self.scale * self.signs().sum(1, dtype=torch.float32).flatten(1).t()
            if self.window is not None:
                share = share + self.window * self.shape[1]
            border = self.level * share
            offset = offset + border.sum(0)
        parts = dict(shift_in=0.0, positive=1.0, negative=1.0, shift=0.0)
        if any(getattr(self, name) is not None for name in parts):
            nonlinearity = torch.stack([
                torch.full_like(offset, neutral) if getattr(self, name) is None else getattr(self, name)
                for name, neutral in parts.items()])
        for name, tensor in dict(_offset=offset, _border=border, _nonlinearity=nonlinearity).items():
            self.register_buffer(name, tensor, persistent=False)
        return self

    def forward(self, x: Tensor, shortcut: Optional[Tensor] = None,
                next_threshold: Optional[Tensor] = None) -> Union[Tensor, tuple[Tensor, Tensor]]:
        """Computes y, or bits, or both.

        Args:
            x: (N, C, H, W) float, or its bits (int64) where ``takes_bits``.
            shortcut: (N, O, H', W') or what is broadcast to it, added before the nonlinearity.
            next_threshold: (O,); the bits of y >= it are packed.

        Returns:
            y, (N, O, H', W') of ``y_dtype`` in channels_last memory; with ``next_threshold`` y and the bits,
            or, unless ``writes_map``, the bits alone.
        """
        rows, columns = self.crop
        x = self.pack(x)
        if shortcut is not None:
            shortcut = self._spread(shortcut, x)
            if rows or columns:
                shortcut = F.pad(shortcut, (columns, 0, rows, 0))
        y, bits = ops.binary_conv2d_fused(
            x, self._weight, self.scale, self._offset, *self.geometry(), self.window, self._border,
            shortcut, self._nonlinearity, self.low, self.high, self.y_dtype if self.writes_map else None,
            next_threshold, self.next_groups, self._prepared, self.gain, self.shortcut_affine)
        if rows or columns:
            y = y[..., rows:, columns:] if self.writes_map else y
            bits = bits if next_threshold is None else bits[:, rows:, columns:].contiguous()
        if next_threshold is None:
            return y
        return (y, bits) if self.writes_map else bits


    def _spread(self, shortcut: Tensor, bits: Tensor) -> Tensor:
        """One that would be broadcast, at the output's size."""
        if shortcut.shape[:-2] == (len(bits), self.out_channels) and min(shortcut.shape[2:]) > 1:
            return shortcut
        height, width = conv_geometry(bits, self._weight, *self.geometry()).out_size
        return shortcut.expand(len(bits), self.out_channels, height - self.crop[0], width - self.crop[1])
