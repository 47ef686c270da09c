"""a_F of another view of the same images."""
from collections.abc import Sequence
from typing import Optional

import torch

from cmim_mm.registry import MODELS

from ..features import Features, Pair
from .encode import View, encode_again
from .same_pass import SamePass


@MODELS.register_module()
class SecondView(SamePass):
    """The latent side sees another random crop and flip of the batch: the encoder runs twice.

    Its batch norms count the step once. A control: what does contrasting views add to contrasting sides?

    Args:
        in_channels, detach: As in ``SamePass``; detach='latent' also spares the second pass its gradient.
        area_range, colour: Of the view, as in :func:`~cmim_mm.models.latents.encode.View`.

    Raises:
        ValueError: As in ``SamePass`` and ``View``.
    """
    moves = True

    def __init__(self, in_channels: Sequence[int], detach: Optional[str] = None,
                 area_range: Optional[Sequence[float]] = None, colour: float = 0.0) -> None:
        super().__init__(in_channels, detach)
        self.view = View(area_range, colour)

    def latent_pairs(self, feats: Features) -> Sequence[Pair]:
        if not self.training:
            return feats.pairs
        with torch.set_grad_enabled(self.detach != 'latent'):
            return encode_again(feats.encoder, self.view(feats.inputs)).pairs
