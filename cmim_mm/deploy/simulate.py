"""Packed layers in plain torch operators, for exporters that know no others: signs are floats there."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .packed_conv import PackedConv2d
from .sign_conv import SignConv2d
from .threshold_conv import ThresholdConv2d


class SimulatedConv2d(nn.Module):
    """What a packed layer computes, with bits as int8 maps of -1 and +1, (N, C, H, W).

    Args:
        layer: The packed layer.
    """

    def __init__(self, layer: SignConv2d) -> None:
        super().__init__()
        self.layer = [layer]  # not a submodule: its bits are not exported
        self.register_buffer('weight', layer.signs().float())
        self.register_buffer('threshold', layer.threshold)
        for name in ('scale', 'offset', 'window', 'level', 'positive', 'negative', 'shift', 'limit', 'flip'):
            value = getattr(layer, name, None)
            column = None if value is None else value.view(-1, 1, 1)
            self.register_buffer(name, column)
        self.register_buffer('ones', None if self.window is None else torch.ones(
            layer.groups, *layer.shape[1:]))

    def forward(self, x: Tensor, shortcut: Tensor = None, next_threshold: Tensor = None):
        """As the layer's own."""
        layer, = self.layer
        b = self._signs(x)
        if isinstance(layer, ThresholdConv2d):
            return _as_signs((self._convolve(b, self.weight) >= self.limit) ^ self.flip)
        b = b if self.level is None else b + self.level
        v = self._convolve(b, self.weight) * self.scale
        if self.window is not None:
            total = self._convolve(b, self.ones)
            v = v + self.window * total.repeat_interleave(layer.out_channels // layer.groups, 1)
        v = v + self.offset
        v = v if shortcut is None else v + shortcut
        v = self._nonlinear(v, layer)
        if next_threshold is None:
            return v
        bits = _as_signs(v >= next_threshold.view(-1, 1, 1))
        return (v, bits) if layer.writes_map else bits

    def _signs(self, x: Tensor) -> Tensor:
        layer, = self.layer
        if x.dtype == torch.int8:
            return x.float()
        threshold = self.threshold.view(-1, 1, 1) if layer.statistic is None else layer.statistic(x)
        signs = torch.where(x >= threshold, 1.0, -1.0)
        return signs if layer.pad is None else F.pad(signs, *layer.pad)

    def _convolve(self, b: Tensor, weight: Tensor) -> Tensor:
        layer, = self.layer
        y = F.conv2d(b, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
        return y[..., layer.crop[0]:, layer.crop[1]:]

    def _nonlinear(self, v: Tensor, layer: PackedConv2d) -> Tensor:
        if self.positive is not None or self.negative is not None:
            positive, negative = (1.0 if part is None else part for part in (self.positive, self.negative))
            v = torch.where(v > 0, v * positive, v * negative)
        v = v if self.shift is None else v + self.shift
        return v if layer.low is None and layer.high is None else v.clamp(layer.low, layer.high)


def simulate(model: nn.Module) -> nn.Module:
    """Puts :class:`SimulatedConv2d` in the place of every packed layer of a float32 model; in place."""
    for name, module in list(model.named_modules()):
        if isinstance(module, SignConv2d):
            model.set_submodule(name, SimulatedConv2d(module))
    return model


def _as_signs(bits: Tensor) -> Tensor:
    return torch.where(bits, 1, -1).to(torch.int8)
