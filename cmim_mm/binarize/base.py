"""What a binarizer is: the contract that all methods meet, and how one is built from a config."""
from typing import NamedTuple, Optional, Union

import torch
from torch import Tensor, nn

from ..registry import BINARIZERS
from .elementwise import sign


class WeightForm(NamedTuple):
    """A binary weight as scale * sign + offset.

    Attributes:
        sign: (O, I/g, kh, kw), values -1 and +1.
        scale: (O, 1, 1, 1), or the number 1.0.
        offset: (O, 1, 1, 1), or the number 0.0.
    """
    sign: Tensor
    scale: Union[Tensor, float] = 1.0
    offset: Union[Tensor, float] = 0.0

    def value(self) -> Tensor:
        """The binary weight, (O, I/g, kh, kw)."""
        scaled = self.sign * self.scale if isinstance(self.scale, Tensor) else self.sign
        return scaled + self.offset if isinstance(self.offset, Tensor) else scaled


def is_number(part: Union[Tensor, float], number: float) -> bool:
    """Whether a part of a form is that number, and no tensor."""
    return not isinstance(part, Tensor) and part == number


class ActivationForm(NamedTuple):
    """A binary activation as scale * b(x - threshold) + offset.

    Attributes:
        threshold: a number, or a tensor that broadcasts to x: (), (1, C, 1, 1) or (N, 1, 1, 1).
        scale: a number or a 0-dimensional tensor, positive.
        offset: a number or a 0-dimensional tensor.
    """
    threshold: Union[Tensor, float] = 0.0
    scale: Union[Tensor, float] = 1.0
    offset: Union[Tensor, float] = 0.0

    def value(self, x: Tensor) -> Tensor:
        """The binary activation of x, of x's shape and dtype; no gradient."""
        s = sign(x, self.threshold)
        with torch.no_grad():
            s = s if is_number(self.scale, 1) else s.mul_(self.scale)
            return s if is_number(self.offset, 0) else s.add_(self.offset)


class Binarizer(nn.Module):
    """One binarization method at one convolution: base class of all methods.

    A method says in :meth:`weight_form` and :meth:`activation_form` what its
    1-bit values are (the form that deployment packs, and from which the
    backward pass makes the binary input again), and gives the gradient:
    for weights by the estimator inside ``weight_form``'s sign (or its own
    :meth:`binarize_weight` where the gradient is not the product rule's), for
    activations in :meth:`binarize_activation`. Own parameters that start from
    the weights are set in :meth:`init_parameters`.

    Attributes:
        block: layout of the residual block that the method was published with:
            'plain', 'bireal', 'react' or 'maxout'. Readable without building.
        progress: buffer, 0-dimensional float32, elapsed fraction of training (0 to 1). Quantities
            that follow the training are computed from this tensor, so that a
            compiled network is not compiled again when it moves.

    Args:
        in_channels: channels C of the convolution's input.
        weight_shape: (O, I/g, kh, kw).
    """
    block: str = 'plain'
    progress: Tensor

    def __init__(self, in_channels: int, weight_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.register_buffer('progress', torch.zeros(()))

    def init_parameters(self, weight: Tensor) -> None:
        """Sets the method's own parameters from the freshly initialized latent weight."""

    def weight_form(self, w: Tensor) -> WeightForm:
        """The latent weight w, (O, I/g, kh, kw), in packable form."""
        raise NotImplementedError

    def activation_form(self, x: Tensor) -> ActivationForm:
        """The binary activation of x, (N, C, H, W), in packable form."""
        return ActivationForm()

    def binarize_weight(self, w: Tensor) -> Tensor:
        """Binary weight with its gradient, (O, I/g, kh, kw)."""
        return self.weight_form(w).value()

    def binarize_activation(self, x: Tensor) -> Tensor:
        """Binary activation with its gradient, (N, C, H, W)."""
        raise NotImplementedError

    def output_scale(self) -> Optional[Tensor]:
        """What each output channel is multiplied by, its bias included, (O, 1, 1); None for 1."""
        return None

    def start_epoch(self, weight: Tensor) -> None:
        """What the method does once an epoch of training; changes its own buffers only."""


class OutputScale(Binarizer):
    """A binarizer whose convolution's output is multiplied by a learned alpha_o.

    Attributes:
        alpha: (O, 1, 1), starts at mean |w_o|.
    """

    def __init__(self, in_channels: int, weight_shape: tuple[int, int, int, int]) -> None:
        super().__init__(in_channels, weight_shape)
        self.alpha = nn.Parameter(torch.ones(weight_shape[0], 1, 1))

    def init_parameters(self, weight: Tensor) -> None:
        with torch.no_grad():
            self.alpha.copy_(weight.abs().mean((1, 2, 3)).view_as(self.alpha))

    def output_scale(self) -> Tensor:
        return self.alpha


def get_binarizer(cfg: Union[str, dict]) -> type[Binarizer]:
    """The class of a method, by its name or by a config dict with a ``type``.

    Raises:
        KeyError: the name is not registered, or the dict has no ``type``; the message lists the names.
        TypeError: cfg is neither a name nor a dict.
    """
    if not isinstance(cfg, (str, dict)):
        raise TypeError(
            f"binarizer={cfg!r}: expected a name such as 'ReActNet' or a dict(type='ReActNet', ...)")
    name = cfg if isinstance(cfg, str) else cfg.get('type')
    method = BINARIZERS.get(name) if isinstance(name, str) else None
    if method is None:
        valid = ', '.join(sorted(BINARIZERS.module_dict))
        raise KeyError(f'binarizer={cfg!r} names no binarization method; valid names are: {valid}')
    return method


def build_binarizer(cfg: Union[str, dict], in_channels: int, weight: Tensor) -> Binarizer:
    """Builds the method for a convolution with the latent ``weight`` and sets its own parameters from it.

    Args:
        cfg: name of the method, or ``dict(type=name, **arguments)``.
        in_channels: channels of the convolution's input.
        weight: (O, I/g, kh, kw).

    Raises:
        KeyError, TypeError: see :func:`get_binarizer`.
    """
    method = get_binarizer(cfg)
    arguments = {} if isinstance(cfg, str) else {key: cfg[key] for key in cfg if key != 'type'}
    binarizer = method(in_channels, tuple(weight.shape), **arguments).to(weight.device)
    binarizer.init_parameters(weight.detach())
    return binarizer
