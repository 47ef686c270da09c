"""The nine methods as a paper's reader would write them: their equations in plain differentiable operations.

b(x) = +1 where x >= 0, else -1, with the gradient of a surrogate s(x) by ``s(x) + (b(x) - s(x)).detach()``.
``train_step.py`` times them; their outputs and gradients are those of :mod:`cmim_mm.binarize`, whose classes
name the sources. ``m`` is the package's binarizer, which holds a method's own parameters and its progress.
"""
import math
from typing import Callable, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cmim_mm.binarize import BinaryConv2d

AXES = (1, 2, 3)


def b(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def with_gradient(value: Tensor, surrogate: Tensor) -> Tensor:
    return surrogate + (value - surrogate).detach()


def clipped(x: Tensor) -> Tensor:
    return with_gradient(b(x), x.clamp(-1, 1))


def polynomial(x: Tensor) -> Tensor:
    u = x.clamp(-1, 1)
    return with_gradient(b(x), 2 * u - u * u.abs())


def schedule(m: nn.Module) -> tuple[Tensor, Tensor]:
    t = m.t_min * (m.t_max / m.t_min) ** m.progress
    return t, torch.clamp(1 / t, min=1)


def ede(x: Tensor, m: nn.Module) -> Tensor:
    t, k = schedule(m)
    return with_gradient(b(x), k * torch.tanh(t * x))


def triangle(x: Tensor, t: Tensor, k: Tensor) -> Tensor:
    limit = math.sqrt(2) / t
    u = torch.minimum(torch.maximum(x, -limit), limit)
    return with_gradient(b(x), k * (math.sqrt(2) * t * u - t**2 * u * u.abs() / 2))


def standardized(x: Tensor) -> Tensor:
    return (x - x.mean(AXES, keepdim=True)) / x.std(AXES, keepdim=True)


def scale_of(w: Tensor) -> Tensor:
    return w.detach().abs().mean(AXES, keepdim=True)


def xnornet_weight(w: Tensor, m: nn.Module) -> Tensor:
    v = w + ((w - w.mean(1, keepdim=True)).clamp(-1, 1) - w).detach()
    return with_gradient(scale_of(v) * b(v), scale_of(v) * F.hardtanh(v) + v / w[0].numel())


def dorefa_weight(w: Tensor, m: nn.Module) -> Tensor:
    return with_gradient(w.abs().mean() * b(w), w)


def dorefa_activation(x: Tensor, m: nn.Module) -> Tensor:
    return with_gradient((x >= 0.5).to(x.dtype), x.clamp(0, 1))


def bireal_weight(w: Tensor, m: nn.Module) -> Tensor:
    return with_gradient(scale_of(w) * b(w), w.clamp(-1, 1))


def irnet_weight(w: Tensor, m: nn.Module) -> Tensor:
    v = standardized(w)
    return 2 ** scale_of(v).log2().round() * ede(v, m)


def rbnn_weight(w: Tensor, m: nn.Module) -> Tensor:
    v = standardized(w)
    x = v.detach().reshape(len(v), len(m.R1), len(m.R2))
    u = v + m.rotate.sin().abs() * ((m.R1.t() @ x @ m.R2).reshape(v.shape) - v)
    return triangle(u, *schedule(m))


def rbnn_activation(x: Tensor, m: nn.Module) -> Tensor:
    t = schedule(m)[0].clamp(min=1)
    return triangle(standardized(x), t, torch.ones_like(t))


def recu_weight(w: Tensor, m: nn.Module) -> Tensor:
    w0 = w - w.mean(AXES, keepdim=True)
    w1 = w0 / ((w0.var(AXES, keepdim=True) + 1e-5).sqrt() / (2 * math.sqrt(2)))
    limit = -w1.detach().abs().mean() * torch.log(2 - 2 * m.tau())
    clamped = torch.minimum(torch.maximum(w1, -limit), limit)
    return with_gradient(b(clamped), clamped)


def recu_activation(x: Tensor, m: nn.Module) -> Tensor:
    return polynomial(x / (x.var(AXES, keepdim=True) + 1e-5).sqrt())


def adabin_weight(w: Tensor, m: nn.Module) -> Tensor:
    beta = w.mean(AXES, keepdim=True)
    alpha = (w - beta).square().mean(AXES, keepdim=True).sqrt()
    return alpha * ede((w - beta) / alpha, m) + beta


def adabin_activation(x: Tensor, m: nn.Module) -> Tensor:
    return m.alpha_a * (polynomial((x - m.beta_a) / m.alpha_a) + m.beta_a)


class Method(NamedTuple):
    """Binary weight and activation, each of (latent tensor, binarizer)."""
    weight: Callable[[Tensor, nn.Module], Tensor]
    activation: Callable[[Tensor, nn.Module], Tensor]


METHODS = dict(
    BNN=Method(lambda w, m: clipped(w), lambda x, m: clipped(x)),
    XNORNet=Method(xnornet_weight, lambda x, m: with_gradient(b(x), F.hardtanh(x))),
    DoReFa=Method(dorefa_weight, dorefa_activation),
    BiReal=Method(bireal_weight, lambda x, m: polynomial(x)),
    IRNet=Method(irnet_weight, ede),
    RBNN=Method(rbnn_weight, rbnn_activation),
    ReCU=Method(recu_weight, recu_activation),
    ReActNet=Method(bireal_weight, lambda x, m: polynomial(x + m.shift)),
    AdaBin=Method(adabin_weight, adabin_activation),
)


class EagerConv2d(nn.Module):
    """The same layer as ``conv``, with its parameters and buffers, in plain operations."""

    def __init__(self, conv: BinaryConv2d) -> None:
        super().__init__()
        self.conv = conv
        self.method = METHODS[type(conv.binarizer).__name__]

    def forward(self, x: Tensor) -> Tensor:
        conv, m = self.conv, self.conv.binarizer
        y = F.conv2d(self.method.activation(x, m), self.method.weight(conv.weight, m), conv.bias, conv.stride,
                     conv.padding, conv.dilation, conv.groups)
        return y * m.alpha if hasattr(m, 'alpha') else y


def to_eager(network: nn.Module) -> nn.Module:
    """Replaces every BinaryConv2d of the network, in place."""
    for name, module in network.named_children():
        if isinstance(module, BinaryConv2d):
            setattr(network, name, EagerConv2d(module))
        else:
            to_eager(module)
    return network
