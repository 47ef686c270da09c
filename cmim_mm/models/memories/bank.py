"""A row for each training image."""
import torch
import torch.nn.functional as F
from torch import Tensor

from cmim_mm.registry import MODELS

from .base import Rows, widen
from .stored import StoredMemory

#: In bfloat16 (8 bits) a row stops following what it should where a step is smaller than half its last bit.
LARGEST_HALF_MOMENTUM = 0.9


@MODELS.register_module()
class Bank(StoredMemory):
    r"""One row for each training image: :math:`row \leftarrow m\,row + (1 - m)\,z`, then to unit length.

    It has as many rows as the training data set has images: ``MemoryBankHook`` calls :meth:`allocate`. An
    image's ``sample_idx`` is the number of its row. Of an image that is twice in a joined batch the first
    counts.

    Wu et al., 2018 (arXiv 1805.01978), the bank; Tian et al., 2020 (arXiv 1910.10699), one for each side.

    Args:
        dim: Width d of the embeddings.
        num_negatives: N drawn rows a step.
        momentum: m, the share of the old row that stays, in [0, 1); at most 0.9 in bfloat16, where a slower
            one stalls.
        dtype: 'float32' or 'bfloat16' rows.
        seed: Of the draws and of the first rows, uniform in +-sqrt(3 / d) (unit norm on average).

    Raises:
        ValueError: A bad argument, or an image beyond the bank.
        RuntimeError: It is used before it has its rows.
    """
    per_image = True

    def __init__(self, dim: int = 128, num_negatives: int = 4096, momentum: float = 0.5,
                 dtype: str = 'float32', seed: int = 0) -> None:
        super().__init__(dim, num_negatives, dtype, seed)
        if not 0 <= momentum < 1:
            raise ValueError(f'Bank: momentum={momentum}, expected 0 <= momentum < 1')
        if dtype == 'bfloat16' and momentum > LARGEST_HALF_MOMENTUM:
            raise ValueError(f"Bank: with dtype='bfloat16' a row stands still at momentum={momentum}; use "
                             f"dtype='float32', or a momentum of at most {LARGEST_HALF_MOMENTUM}")
        self.momentum = momentum

    @torch.no_grad()
    def allocate(self, num_images: int) -> None:
        """Makes a new row for each image where the module lives; the same on every rank."""
        self.resize(num_images)
        self.restart()

    @torch.no_grad()
    def restart(self) -> None:
        super().restart()
        generator = self._generator(self.tap, 0)
        for rows in (self.latent, self.binary):
            rows.uniform_(-(3 / self.dim)**0.5, (3 / self.dim)**0.5, generator=generator)

    def admit(self, identity: Tensor) -> None:
        if not len(self):
            raise RuntimeError(
                'Bank: it has no rows yet. A Runner gives it as many as the training data set has images; a '
                'loop of your own must call allocate(len(dataset)) first.')
        # Where it lies on a GPU, to look would be to wait for it.
        if identity.device.type == 'cpu' and not 0 <= identity.min() <= identity.max() < len(self):
            raise ValueError(
                f'Bank: it has {len(self)} rows, one for each training image, but the batch has images '
                f'{identity.min()} to {identity.max()}. sample_idx must count the images of the data set '
                "that the bank was allocated for; take a 'Queue' where it cannot.")

    @torch.no_grad()
    def update(self, batch: Rows) -> None:
        rows = batch.identity
        old = self.take(rows)
        # Writing one row twice would leave either: let both writes hold the first one's values.
        first = (rows[:, None] == rows).int().argmax(1)
        latent, binary = (
            F.normalize(self.momentum * kept + (1 - self.momentum) * widen(z), dim=1)[first]
            for kept, z in ((old.latent, batch.latent), (old.binary, batch.binary)))
        self._write(rows, latent, binary, batch.labels[first])

    def _identity(self, indices: Tensor) -> Tensor:
        return indices
