"""Feature maps that also carry the activations behind them, latent and binary."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional, Union

import torch
from torch import Tensor, nn

from cmim_mm.binarize import BinaryConv2d

if TYPE_CHECKING:
    from .teacher import TeacherOutput

#: (latent a_F, binary a_B), both (N, C, H, W).
Pair = tuple[Tensor, Tensor]
#: The stage (from 0; negative from the end) whose last binary convolution is meant, or a module's name.
Tap = Union[int, str]


class Embedded(NamedTuple):
    """Unit vectors of one tap; P is the number of positions, 1 where the map was pooled or flattened.

    Attributes:
        latent: (N, P, d), float32.
        binary: (N, P, d), float32.
        name: Of the tapped convolution, or of the feature map contrasted in its place.
        grid: (rows, columns) of the positions, or None.
    """
    latent: Tensor
    binary: Tensor
    name: str
    grid: Optional[tuple[int, int]] = None


class Features(tuple):
    """A tuple of feature maps, as any head or neck expects, with the record of one forward pass.

    Attributes:
        pairs: (latent a_F, binary a_B = b(a_F)) of each tap, with their gradients.
        tap_names: Names of the tapped convolutions in the backbone.
        inputs: The images (N, C, H, W) as the backbone got them.
        encoder: The backbone, for further passes in this step.
        teacher: What a teacher says of the images, once one ran.
        embeddings: One :class:`Embedded` a tap, once a ``ContrastiveMINeck`` was passed.
    """
    pairs: Sequence[Pair] = ()
    tap_names: Sequence[str] = ()
    inputs: Optional[Tensor] = None
    encoder: Optional[nn.Module] = None
    teacher: Optional['TeacherOutput'] = None
    embeddings: Sequence[Embedded] = ()

    def __new__(cls, maps: Sequence[Tensor], **record) -> 'Features':
        features = super().__new__(cls, maps)
        features.__dict__.update(record)
        return features

    @classmethod
    def of(cls, maps: Sequence[Tensor], feats: Sequence[Tensor], **more) -> 'Features':
        """``maps`` with the record of ``feats``, where that has one, and ``more``."""
        return cls(maps, **{**getattr(feats, '__dict__', {}), **more})


def find_taps(backbone: nn.Module, taps: Sequence[Tap]) -> dict[str, BinaryConv2d]:
    """The binary convolutions that ``taps`` name, by their names, in the order given.

    Args:
        backbone: A network with ``stages``.
        taps: A number is the last binary convolution of that stage, a string a module's name.

    Raises:
        ValueError: There is no such stage or binary convolution; lists the valid ones.
    """
    convs = {name: m for name, m in backbone.named_modules() if isinstance(m, BinaryConv2d)}
    if taps and not convs:
        raise ValueError(f'{type(backbone).__name__}: taps={taps!r}, but there is no binary convolution: the '
                         'full-precision twin (binarizer=None) has no latent and binary activations to '
                         'contrast. Set a binarizer, or taps=()')
    names = {id(module): name for name, module in convs.items()}
    found = {}
    for tap in taps:
        if isinstance(tap, str):
            if tap not in convs:
                raise ValueError(f'{type(backbone).__name__}: taps has {tap!r}, which is no binary '
                                 f'convolution; valid are {", ".join(convs)}')
            name = tap
        else:
            stages = backbone.stages
            if not -len(stages) <= tap < len(stages):
                raise ValueError(f'{type(backbone).__name__}: taps has {tap!r}; valid are the stages '
                                 f'{-len(stages)} to {len(stages) - 1}, or names of binary convolutions: '
                                 f'{", ".join(convs)}')
            name = [names[id(m)] for m in stages[tap].modules() if id(m) in names][-1]
        if name in found:
            raise ValueError(f'{type(backbone).__name__}: taps={taps!r} names {name} twice')
        found[name] = convs[name]
    return found


@torch.no_grad()
def map_channels(network: nn.Module, extract: Optional[Callable] = None) -> list[int]:
    """Channels of each feature map of a network, seen on one empty image; its state stays as it was.

    Args:
        network: A backbone, or a model with ``extract``.
        extract: Images (N, C, H, W) -> its feature maps; the network itself by default.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    try:
        maps = (extract or network)(first.weight.new_zeros(1, first.in_channels, 64, 64))
    finally:
        for module, mode in modes:
            module.training = mode
    return [x.shape[1] for x in maps]


class PairRecord:
    """What :func:`record_pairs` yields: filled anew by each forward pass.

    Attributes:
        names: Names of the convolutions.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._found: dict[str, Pair] = {}

    @property
    def pairs(self) -> list[Pair]:
        """(latent, binary) of each convolution in the order of ``names``."""
        return [self._found[name] for name in self.names]


@contextmanager
def record_pairs(backbone: nn.Module, taps: Optional[Sequence[Tap]] = None) -> Iterator[PairRecord]:
    """Records pairs without gradient, in eval mode too, while the context lasts.

    Args:
        backbone: A binary backbone; it is left as it was.
        taps: As the backbone's; None takes its own, or the last of each stage where it has none.

    Raises:
        ValueError: As in :func:`find_taps`.
    """
    if taps is None:
        taps = getattr(backbone, 'tap_names', ()) or range(len(backbone.stages))
    convs = find_taps(backbone, tuple(taps))
    record = PairRecord(tuple(convs))

    def recorder(name: str):
        def hook(conv: BinaryConv2d, inputs: tuple[Tensor]) -> None:
            with torch.no_grad():
                latent = inputs[0].detach()
                record._found[name] = latent, conv.binary_input(latent)
        return hook

    handles = [conv.register_forward_pre_hook(recorder(name)) for name, conv in convs.items()]
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()
