"""a_F and a_B = b(a_F) of one forward pass."""
from collections.abc import Sequence
from typing import Optional

from cmim_mm.registry import MODELS

from ..features import Features, Pair
from .base import LatentSource

SIDES = (None, 'latent', 'binary')


@MODELS.register_module()
class SamePass(LatentSource):
    """The paper's form: what the tapped convolution got, and what it made of it, in the same pass.

    Args:
        in_channels: Channels of each tap.
        detach: 'latent': a_F is a target that the loss does not move; 'binary': the converse; None: neither.

    Raises:
        ValueError: ``detach`` is something else.
    """

    def __init__(self, in_channels: Sequence[int], detach: Optional[str] = None) -> None:
        super().__init__(in_channels)
        if detach not in SIDES:
            raise ValueError(f'{type(self).__name__}: detach={detach!r} is unknown; valid are '
                             f'{", ".join(map(repr, SIDES))}')
        self.detach = detach

    def latent_pairs(self, feats: Features) -> Sequence[Pair]:
        """The pairs whose latent halves are taken."""
        return feats.pairs

    def pairs(self, feats: Features) -> Sequence[Pair]:
        return [(latent.detach() if self.detach == 'latent' else latent,
                 binary.detach() if self.detach == 'binary' else binary)
                for (latent, _), (_, binary) in zip(self.latent_pairs(feats), feats.pairs)]
