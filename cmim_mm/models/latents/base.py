"""Where a_F comes from: the protocol that the neck talks to."""
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..features import Features, Pair


class Sides(NamedTuple):
    """What is contrasted of one tap.

    Attributes:
        latent: (N, C_F, H, W).
        binary: (N, C_B, H, W).
        name: Of the tapped convolution, or of the feature map in its place.
    """
    latent: Tensor
    binary: Tensor
    name: str


class LatentSource(BaseModule):
    """Gives both sides of each tap; a subclass registered in MODELS is one more ``type`` of ``neck.latent``.

    In eval mode (probes on held-out images) the latent side is that of the same pass, or the teacher's.

    Args:
        in_channels: C_B of each tap.

    Attributes:
        moves: Whether a position of the latent side shows another thing than the same one of the binary side.
        needs_teacher: Whether it reads the model's teacher.
        binary_channels: C_B of each tap.
        latent_channels: C_F of each tap.
    """
    moves: bool = False
    needs_teacher: bool = False

    def __init__(self, in_channels: Sequence[int]) -> None:
        super().__init__()
        self.binary_channels = list(in_channels)
        self.latent_channels = list(in_channels)

    def start(self, encoder: nn.Module) -> None:
        """Is told the encoder once, before training."""

    def pairs(self, feats: Features) -> Sequence[Pair]:
        """(latent, binary) of each tap."""
        raise NotImplementedError

    def forward(self, feats: Features) -> list[Sides]:
        """Both sides of each tap, by its name."""
        return [Sides(*pair, name) for pair, name in zip(self.pairs(feats), self.names(feats))]

    def names(self, feats: Features) -> Sequence[str]:
        """What the binary sides are called in the log."""
        return feats.tap_names
