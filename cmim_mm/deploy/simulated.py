"""Packed layers in torch's ordinary operations: what other runtimes are given."""
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .packed_conv import PackedConv2d
from .sign_conv import SignConv2d
from .threshold_conv import ThresholdConv2d


class SimulatedConv2d(nn.Module):
    """A packed layer whose bits are bool (N, C, H, W), and whose signs are float32.

    ``S = conv2d(where(x >= threshold, 1, -1), signs)`` is exact in any order of summation, so what follows it
    is all that rounding can touch.

    Attributes:
        signs: (O, I/g, kh, kw), -1 and +1.
        threshold: (1, C, 1, 1); None where a statistic of each image takes its place.

    Args:
        layer: The packed layer.
    """
    signs: Tensor
    threshold: Optional[Tensor]

    def __init__(self, layer: SignConv2d) -> None:
        super().__init__()
        self.in_channels, self.groups = layer.in_channels, layer.groups
        self.conv = dict(stride=layer.stride, padding=layer.padding, dilation=layer.dilation)
        self.crop, self.pad, self.statistic = layer.crop, layer.pad, layer.statistic
        self.add('signs', layer.signs().float())
        self.add('threshold', layer.threshold)

    def add(self, name: str, value: Optional[Tensor]) -> None:
        """A buffer; a vector gets the shape of the channels, (1, C, 1, 1)."""
        vector = value is not None and value.dim() == 1
        self.register_buffer(name, value.view(1, -1, 1, 1) if vector else value)

    def activation(self, x: Tensor) -> Tensor:
        """b, -1 and +1, of a float map or of its bits."""
        if x.dtype != torch.bool:
            threshold = self.threshold if self.statistic is None else self.statistic(x)
            x = (x if self.pad is None else F.pad(x, *self.pad)) >= threshold
        return torch.where(x, 1.0, -1.0)

    def sums(self, b: Tensor, signs: Tensor) -> Tensor:
        """S of the taps inside the image, (N, O, H', W')."""
        s = F.conv2d(b, signs, groups=self.groups, **self.conv)
        return s[..., self.crop[0]:, self.crop[1]:] if any(self.crop) else s


class SimulatedThreshold(SimulatedConv2d):
    """``ThresholdConv2d``; gives bits. Filters of flipped channels are negated: S < L is -S >= 1 - L."""

    def __init__(self, layer: ThresholdConv2d) -> None:
        super().__init__(layer)
        self.signs[layer.flip] *= -1
        self.add('limit', torch.where(layer.flip, 1 - layer.limit, layer.limit).float())

    def forward(self, x: Tensor) -> Tensor:
        return self.sums(self.activation(x), self.signs) >= self.limit


class SimulatedPacked(SimulatedConv2d):
    """``PackedConv2d``, in the order of its formula.

    Attributes:
        signs: Behind the filters of each group one of ones, where there is a ``window``.
    """

    def __init__(self, layer: PackedConv2d) -> None:
        super().__init__(layer)
        self.low, self.high, self.writes_map = layer.low, layer.high, layer.writes_map
        for name in ('scale', 'window', 'gain', 'shift_in', 'positive', 'negative', 'shift'):
            self.add(name, getattr(layer, name))
        self.add('offset', layer._offset)
        shortcut = layer.shortcut_affine
        self.add('shortcut_affine', None if shortcut is None else shortcut.view(2, 1, -1, 1, 1))
        if self.window is not None:  # T is the sum of one more filter of each group
            signs = self.signs.unflatten(0, (self.groups, -1))
            self.signs = torch.cat([signs, torch.ones_like(signs[:, :1])], 1).flatten(0, 1)
        # c's share of each tap; without padding all lie inside, and the offset has it all.
        border = layer._border if any(layer.padding) else None
        self.add('border', None if border is None else border.t().reshape(-1, 1, *layer.shape[2:]))

    def forward(self, x: Tensor, shortcut: Optional[Tensor] = None,
                next_threshold: Optional[Tensor] = None) -> Union[Tensor, tuple[Tensor, Tensor]]:
        b = self.activation(x)
        s = self.sums(b, self.signs)
        if self.window is None:
            v = s * self.scale
        else:
            s = s.unflatten(1, (self.groups, -1))
            s, total = s[:, :, :-1].flatten(1, 2), s[:, :, -1]
            if self.groups > 1:
                total = total.repeat_interleave(s.shape[1] // self.groups, 1)
            v = s * self.scale + self.window * total
        v = (v if self.gain is None else self.gain * v) + self.offset
        if self.border is not None:
            v = v - self._share_outside(b)
        if shortcut is not None:
            if self.shortcut_affine is not None:
                shortcut = self.shortcut_affine[0] * shortcut + self.shortcut_affine[1]
            v = v + shortcut
        v = self._nonlinear(v)
        if next_threshold is None:
            return v
        bits = v >= next_threshold.view(1, -1, 1, 1)
        return (v, bits) if self.writes_map else bits

    def _share_outside(self, b: Tensor) -> Tensor:
        rows, columns = self.conv['padding']
        outside = F.pad(torch.zeros(1, 1, *b.shape[2:]), (columns, columns, rows, rows), value=1.0)
        share = F.conv2d(outside, self.border, stride=self.conv['stride'], dilation=self.conv['dilation'])
        return share[..., self.crop[0]:, self.crop[1]:]

    def _nonlinear(self, v: Tensor) -> Tensor:
        if self.shift_in is not None:
            v = v + self.shift_in
        if self.positive is not None:
            v = v * torch.where(v > 0, self.positive, 1.0 if self.negative is None else self.negative)
        elif self.negative is not None:
            v = F.prelu(v, self.negative.flatten())
        if self.shift is not None:
            v = v + self.shift
        return v if self.low is None and self.high is None else v.clamp(self.low, self.high)


def simulate(model: nn.Module) -> nn.Module:
    """Puts a simulated layer in the place of each packed one, in a prepared model; it is changed in place."""
    for name, module in list(model.named_modules()):
        if isinstance(module, SignConv2d):
            kind = SimulatedThreshold if isinstance(module, ThresholdConv2d) else SimulatedPacked
            model.set_submodule(name, kind(module).eval())
    return model

