"""What ``Bank`` and ``Queue`` share: rows in buffers, and a draw that follows from (seed, tap, step)."""
import numpy as np
import torch
from torch import Tensor

from .base import Memory, Rows, widen

DTYPES = ('float32', 'bfloat16')


class StoredMemory(Memory):
    """Rows in buffers, saved with the model; a checkpoint's rows are taken whatever their number.

    **Draw.** One set of N rows, uniform with replacement: the expectation over the negatives that the
    objective asks for, at N random numbers instead of a permutation of all rows. It is a function of (seed,
    tap, step) alone, so it is the same on every rank and after a resume. Where N is at least the number of
    rows, every row once.

    **Size.** 2 d numbers and one or two int64 a row; a draw costs 2 N d numbers.

    Args:
        dim: Width d of the embeddings.
        num_negatives: N.
        dtype: 'float32' or 'bfloat16' rows; all arithmetic is in float32.
        seed: Of the draws, and of a bank's first rows.

    Attributes:
        tap: Number of the tapped layer, a part of the seed; set by the head.

    Raises:
        ValueError: Arguments outside the values above.
    """

    def __init__(self, dim: int = 128, num_negatives: int = 4096, dtype: str = 'float32',
                 seed: int = 0) -> None:
        super().__init__(dim)
        name = type(self).__name__
        if dtype not in DTYPES:
            raise ValueError(f"{name}: dtype='{dtype}' is unknown; choose one of {', '.join(DTYPES)}")
        if num_negatives < 1:
            raise ValueError(f'{name}: num_negatives={num_negatives}, expected 1 or more')
        self.num_negatives = num_negatives
        self.seed = seed
        self.tap = 0
        for side in ('latent', 'binary'):
            self.register_buffer(side, torch.empty(0, dim, dtype=getattr(torch, dtype)))
        self.register_buffer('labels', torch.empty(0, dtype=torch.long))
        for counter in ('steps', 'written'):  # updates, and the rows that they brought
            self.register_buffer(counter, torch.tensor(0))
        self._host = None  # both, so that no step waits for the device

    def __len__(self) -> int:
        return len(self.latent)

    def extra_repr(self) -> str:
        return f'rows={len(self)}, dim={self.dim}, num_negatives={self.num_negatives}'

    def take(self, indices: Tensor) -> Rows:
        """The rows of these numbers, (N,) or (A, N), in float32."""
        return Rows(widen(self.latent[indices]), widen(self.binary[indices]), self._identity(indices),
                    self.labels[indices])

    def draw(self, batch: Rows) -> Rows:
        return self.take(self._draw_indices())

    def restart(self) -> None:
        super().restart()
        self.labels.fill_(-1)
        self._count_to(0, 0)

    def resize(self, num_rows: int) -> None:
        """Gives every per-row buffer this length; what they hold is undefined."""
        for name in self._per_row():
            buffer = getattr(self, name)
            setattr(self, name, buffer.new_empty(num_rows, *buffer.shape[1:]))

    def _per_row(self) -> tuple[str, ...]:
        return 'latent', 'binary', 'labels'

    def _identity(self, indices: Tensor) -> Tensor:
        raise NotImplementedError

    def _filled(self) -> int:
        """How many rows, from the first on, may be drawn."""
        return len(self)

    def _draw_indices(self) -> Tensor:
        device = self.latent.device
        if self.num_negatives >= len(self):
            return torch.arange(len(self), device=device)
        generator = self._generator(self.tap, 1, self._counters()[0])
        return torch.randint(self._filled(), (self.num_negatives,), device=device, generator=generator)

    def _generator(self, *position: int) -> torch.Generator:
        seed = np.random.SeedSequence((self.seed, *position)).generate_state(1, np.uint64)
        return torch.Generator(self.latent.device).manual_seed(int(seed[0]))

    def _counters(self) -> tuple[int, int]:
        if self._host is None:
            self._host = int(self.steps), int(self.written)
        return self._host

    def _count_to(self, steps: int, written: int) -> None:
        self._host = steps, written
        self.steps.fill_(steps)
        self.written.fill_(written)

    def _write(self, rows: Tensor, latent: Tensor, binary: Tensor, labels: Tensor) -> None:
        """Writes these rows and counts the step."""
        for buffer, new in ((self.latent, latent), (self.binary, binary), (self.labels, labels)):
            buffer[rows] = new.to(buffer.dtype)
        steps, written = self._counters()
        self._count_to(steps + 1, written + len(rows))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        saved = state_dict.get(f'{prefix}latent')
        if saved is not None and saved.shape[1] != self.dim:  # the card tells, where it matters
            state_dict.update({f'{prefix}{side}': getattr(self, side) for side in ('latent', 'binary')})
        elif saved is not None and len(saved) != len(self):
            self.resize(len(saved))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._host = None
