"""What may follow a convolution in one pass: batch norms and nonlinearities as numbers a channel."""
from typing import NamedTuple, Optional, Union

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from cmim_mm.models.backbones.blocks import Maxout, RPReLU

Number = Union[Tensor, float]


class Nonlinear(NamedTuple):
    """t = v + shift_in; y = t (positive if t > 0 else negative) + shift_out, clamped to [low, high].

    Tensors are (O,); numbers hold for all channels.
    """
    shift_in: Number = 0.0
    positive: Number = 1.0
    negative: Number = 1.0
    shift_out: Number = 0.0
    low: Optional[float] = None
    high: Optional[float] = None


def as_nonlinear(module: nn.Module, channels: int) -> Optional[Nonlinear]:
    """A module in that form, or None where it has none."""
    kind = type(module)
    if kind is nn.Identity:
        return Nonlinear()
    if kind is nn.ReLU:
        return Nonlinear(low=0.0)
    if isinstance(module, nn.Hardtanh):
        return Nonlinear(low=float(module.min_val), high=float(module.max_val))
    if kind is nn.LeakyReLU:
        return Nonlinear(negative=module.negative_slope)
    if kind is nn.PReLU:
        return Nonlinear(negative=_vector(module.weight, channels))
    if kind is RPReLU:
        shift_in, slope, shift_out = (_vector(part, channels) for part in (
            module.shift_in, module.prelu.weight, module.shift_out))
        return Nonlinear(shift_in, 1.0, slope, shift_out)
    if kind is Maxout:
        return Nonlinear(0.0, _vector(module.gamma_pos, channels), _vector(module.gamma_neg, channels))
    return None


def is_affine(norm: nn.Module) -> bool:
    """Whether a module is a batch norm that evaluates by running statistics."""
    return isinstance(norm, _BatchNorm) and norm.running_mean is not None


def norm_affine(norm: nn.Module) -> Optional[tuple[Tensor, Tensor]]:
    """gain, shift, (O,) float64, of a norm that :func:`is_affine` accepts; None of others."""
    if not is_affine(norm):
        return None
    gain = (norm.running_var.detach().double() + norm.eps).rsqrt()
    if norm.weight is not None:
        gain = gain * norm.weight.detach().double()
    shift = -norm.running_mean.detach().double() * gain
    return gain, shift if norm.bias is None else shift + norm.bias.detach().double()


def norm_as_computed(norm: nn.Module) -> Tensor:
    """(2, O) float32, the gain and shift of such a norm as torch computes them, to the last bit.

    ``norm(x)`` on a CPU is gain x + shift, rounded once.
    """
    var, weight, bias = (None if part is None else part.detach().float()
                         for part in (norm.running_var, norm.weight, norm.bias))
    mean = norm.running_mean.detach().float()
    zero = torch.zeros_like(mean)
    return torch.cat([_evaluate(zero + 1, zero, var, weight, None, norm.eps),
                      _evaluate(zero, mean, var, weight, bias, norm.eps)])


def _evaluate(x: Tensor, mean: Tensor, var: Tensor, weight: Optional[Tensor], bias: Optional[Tensor],
              eps: float) -> Tensor:
    return F.batch_norm(x.view(1, -1, 1, 1), mean, var, weight, bias, eps=eps).view(1, -1)


def _vector(parameter: Tensor, channels: int) -> Tensor:
    return parameter.detach().flatten().expand(channels)
