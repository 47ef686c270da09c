"""No memory: the batch itself."""
from cmim_mm.registry import MODELS

from .base import Memory, Rows


@MODELS.register_module()
class InBatch(Memory):
    """Negatives are the other rows of the joined batch of all ranks, with gradients.

    Nothing is kept, and all embeddings are the present network's: with the InfoNCE form the loss is a true
    bound (see ``CMIMLoss``).

    Args:
        dim: Width d of the embeddings.
    """

    def __init__(self, dim: int = 128) -> None:
        super().__init__(dim)

    def draw(self, batch: Rows) -> Rows:
        return batch
