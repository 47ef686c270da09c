"""a_F of a later layer."""
from collections.abc import Sequence
from typing import Optional

from cmim_mm.registry import MODELS

from ..features import Features, Pair
from .same_pass import SamePass


@MODELS.register_module()
class LaterLayer(SamePass):
    """The latent side of each tap is that of the next one, in the same pass; the last has only that side.

    Bits are asked what a deeper layer, before its binarization, knows of the image.

    Args:
        in_channels: Channels of each tap; the taps in the network's order.
        detach: As in ``SamePass``.

    Raises:
        ValueError: One tap alone, or ``detach`` is something else.
    """

    def __init__(self, in_channels: Sequence[int], detach: Optional[str] = None) -> None:
        super().__init__(in_channels, detach)
        if len(in_channels) < 2:
            raise ValueError('LaterLayer: one tap has no later one; set two or more, e.g. taps=(0, 1, 2, 3)')
        self.binary_channels = list(in_channels[:-1])
        self.latent_channels = list(in_channels[1:])

    def latent_pairs(self, feats: Features) -> Sequence[Pair]:
        return feats.pairs[1:]

    def names(self, feats: Features) -> Sequence[str]:
        return feats.tap_names[:-1]
