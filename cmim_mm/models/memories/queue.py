"""The last embeddings, whatever images they are of."""
import torch
from torch import Tensor

from cmim_mm.registry import MODELS

from .base import Rows
from .stored import StoredMemory


@MODELS.register_module()
class Queue(StoredMemory):
    """The last ``num_rows`` embeddings; the oldest give way to the joined batch.

    For data of any size, and for positions, which have no place of their own in an image that is cropped at
    random. The batch itself is not among its negatives, which are drawn before it enters.

    He et al., 2020 (MoCo, arXiv 1911.05722).

    Args:
        num_rows: Its length.
        dim: Width d of the embeddings.
        num_negatives: N drawn rows a step.
        dtype: 'float32' or 'bfloat16' rows.
        seed: Of the draws.

    Raises:
        ValueError: A bad argument.
    """

    def __init__(self, num_rows: int = 65536, dim: int = 128, num_negatives: int = 4096,
                 dtype: str = 'float32', seed: int = 0) -> None:
        super().__init__(dim, num_negatives, dtype, seed)
        if num_rows < 1:
            raise ValueError(f'Queue: num_rows={num_rows}, expected 1 or more')
        self.origin['num_rows'] = num_rows
        self.register_buffer('identity', torch.empty(0, dtype=torch.long))
        self.resize(num_rows)
        self.restart()

    def restart(self) -> None:
        super().restart()
        for rows in (self.latent, self.binary):
            rows.zero_()
        self.identity.fill_(-1)

    @torch.no_grad()
    def update(self, batch: Rows) -> None:
        latent, binary, identity, labels = (x[-len(self):] for x in batch)
        rows = (torch.arange(len(identity), device=identity.device) + self._counters()[1]) % len(self)
        self.identity[rows] = identity
        self._write(rows, latent, binary, labels)

    def _per_row(self) -> tuple[str, ...]:
        return *super()._per_row(), 'identity'

    def _identity(self, indices: Tensor) -> Tensor:
        return self.identity[indices]

    def _filled(self) -> int:
        return min(max(self._counters()[1], 1), len(self))
