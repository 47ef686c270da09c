"""a_F of another view of the same images."""
from collections.abc import Sequence

import torch

from cmim_mm.registry import MODELS

from ..features import Features, Pair
from .encode import encode_again, second_view
from .same_pass import SamePass


@MODELS.register_module()
class SecondView(SamePass):
    """The latent side sees another random crop and flip of the batch: the encoder runs twice.

    Its batch norms count the step once. A control: what does contrasting views add to contrasting sides?
    Arguments and errors are those of ``SamePass``; detach='latent' also spares the second pass its gradient.
    """
    moves = True

    def latent_pairs(self, feats: Features) -> Sequence[Pair]:
        if not self.training:
            return feats.pairs
        with torch.set_grad_enabled(self.detach != 'latent'):
            return encode_again(feats.encoder, second_view(feats.inputs)).pairs
