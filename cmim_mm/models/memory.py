"""Where the negatives come from: a bank of all images, a queue, or the batch."""
from typing import NamedTuple, Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim_mm.registry import MODELS

from .gather import gather_ranks

_PER_ROW = ('latent', 'binary', 'labels', 'identity')


class Negatives(NamedTuple):
    """Negatives of one step: of the latent side, of the binary side, and who may use which."""
    latent: Tensor  # (N, d), or (A, N, d) with explicit indices
    binary: Tensor  # as latent
    mask: Tensor  # (A, N), True where the anchor may use the negative
    indices: Optional[Tensor]  # rows of the memory, (N,) or (A, N); None for kind 'batch'


@MODELS.register_module()
class MemoryBank(nn.Module):
    """Embeddings of both sides of one tapped layer, to be contrasted with.

    ======= ================================ ========================================================
    kind    rows                             update
    ======= ================================ ========================================================
    bank    one for each training image      row <- normalize(momentum row + (1 - momentum) z)
    queue   the last ``num_rows`` embedded   the oldest rows give way to the joined batch
    batch   none                             nothing; negatives are the joined batch, with gradients
    ======= ================================ ========================================================

    **Draw.** One set of N rows, uniform with replacement (the expectation over the negatives that the
    objective asks for; N numbers instead of a permutation of M), shared by all anchors and equal on every
    rank: a function of (seed, step). Where N >= num_rows, every row once. Each anchor masks its own image,
    and its own class where asked; rows of unknown label (< 0) are never taken for its own class.

    **Ranks.** Samples of all ranks enter in the order of :func:`gather_ranks`, so every rank holds the same
    rows, those of one process on the joined batch. Of an image that is twice in a joined batch the first
    counts.

    **Memory.** 2 num_rows d numbers, two int64 a row; a draw costs 2 N d numbers and a mask of A N bytes.

    Everything is saved with the model, and a checkpoint's rows are taken whatever their number; so a bank
    may be allocated before loading, after it, or not at all. ``MemoryBankHook`` allocates banks by the
    data set and compares the two.

    Source: Wu et al., 2018 (arXiv 1805.01978), the bank; Tian et al., 2020 (arXiv 1910.10699), two banks;
    He et al., 2020 (MoCo, arXiv 1911.05722), the queue.

    Args:
        num_rows: Length of a queue; images of a bank, None to take it from the data set.
        dim: Width d of the embeddings.
        kind: 'bank', 'queue' or 'batch'.
        num_negatives: N.
        momentum: Share of the old row that a bank keeps, in [0, 1).
        dtype: 'float32' or 'bfloat16' rows; all arithmetic is in float32.
        other_classes_only: Mask the anchor's own class. Then the loss bounds no mutual information.
        positive: 'live': the pair of this step. 'bank': each anchor's positive too is a row of the bank, so
            no gradient passes to that side (the form of CMIM's public release).
        seed: Of the first rows, uniform in +-sqrt(3 / d) (unit norm on average), and of the draws.

    Raises:
        ValueError: Arguments that contradict each other, or labels missing.
        RuntimeError: A bank is used before it has its rows.
    """

    def __init__(self,
                 num_rows: Optional[int] = None,
                 dim: int = 128,
                 kind: str = 'bank',
                 num_negatives: int = 4096,
                 momentum: float = 0.5,
                 dtype: str = 'float32',
                 other_classes_only: bool = False,
                 positive: str = 'live',
                 seed: int = 0) -> None:
        super().__init__()
        _check_choice('kind', kind, ('bank', 'queue', 'batch'))
        _check_choice('dtype', dtype, ('float32', 'bfloat16'))
        _check_choice('positive', positive, ('live', 'bank'))
        if kind == 'queue' and not num_rows:
            raise ValueError("MemoryBank: kind='queue' needs num_rows, its length, such as 65536")
        if kind != 'bank' and positive == 'bank':
            raise ValueError(f"MemoryBank: positive='bank' needs kind='bank', got kind='{kind}'")
        if not 0 <= momentum < 1:
            raise ValueError(f'MemoryBank: momentum must be in [0, 1), got {momentum}')
        self.num_rows = num_rows
        self.dim = dim
        self.kind = kind
        self.num_negatives = num_negatives
        self.momentum = momentum
        self.other_classes_only = other_classes_only
        self.positive = positive
        self.seed = seed
        for side in ('latent', 'binary'):
            self.register_buffer(side, torch.empty(0, dim, dtype=getattr(torch, dtype)))
        for record in ('labels', 'identity'):
            self.register_buffer(record, torch.empty(0, dtype=torch.long))
        self.register_buffer('steps', torch.tensor(0))
        self.register_buffer('enqueued', torch.tensor(0))
        self._host = None  # (steps, enqueued), so that no step waits for the device
        if kind != 'batch' and num_rows:
            self.allocate(num_rows)

    def extra_repr(self) -> str:
        return f"'{self.kind}', rows={len(self.latent)}, dim={self.dim}, num_negatives={self.num_negatives}"

    @torch.no_grad()
    def allocate(self, num_rows: int) -> None:
        """Makes ``num_rows`` new rows where the module lives; the same on every rank."""
        self._resize(num_rows)
        generator = self._generator(0)
        for rows in (self.latent, self.binary):
            rows.uniform_(-(3 / self.dim)**0.5, (3 / self.dim)**0.5, generator=generator)
        self.labels.fill_(-1)
        self.identity.copy_(torch.arange(num_rows) if self.kind == 'bank' else torch.tensor(-1))
        self.steps.zero_()
        self.enqueued.zero_()
        self._host = None

    def draw(self,
             sample_idx: Tensor,
             labels: Optional[Tensor] = None,
             z_latent: Optional[Tensor] = None,
             z_binary: Optional[Tensor] = None,
             indices: Optional[Tensor] = None) -> Negatives:
        """The negatives of this step.

        Args:
            sample_idx: (A,) whose image each anchor is; anchors of one image never are its negatives.
            labels: (A,) class of each anchor (of its pixel, for dense embeddings).
            z_latent: (A, d), only used by kind 'batch'.
            z_binary: (A, d), the same.
            indices: (A, N) explicit rows for each anchor; taken as they are, nothing is masked.
        """
        if self.other_classes_only and labels is None:
            raise ValueError('MemoryBank: other_classes_only=True needs the labels of the anchors')
        if self.kind == 'batch':
            z = gather_ranks(torch.cat([z_latent, z_binary], 1))
            identity, others = self._gather_records(sample_idx, labels)
            return Negatives(*z.split(self.dim, 1), self._mask(sample_idx, labels, identity, others), None)
        self._check_allocated()
        if indices is None:
            indices = self._draw_indices()
            mask = self._mask(sample_idx, labels, self.identity[indices], self.labels[indices])
        else:
            mask = torch.ones_like(indices, dtype=torch.bool)
        return Negatives(_widen(self.latent[indices]), _widen(self.binary[indices]), mask, indices)

    def positives(self, sample_idx: Tensor, z_latent: Tensor, z_binary: Tensor) -> 'tuple[Tensor, Tensor]':
        """(A, d) twice: the positives of binary anchors, which are latent, and of latent anchors."""
        if self.positive == 'live':
            return z_latent, z_binary
        self._check_allocated()
        return _widen(self.latent[sample_idx]), _widen(self.binary[sample_idx])

    @torch.no_grad()
    def update(self, sample_idx: Tensor, z_latent: Tensor, z_binary: Tensor,
               labels: Optional[Tensor] = None) -> None:
        """Takes in this step's embeddings and ends the step; call it once, after the loss.

        Args:
            sample_idx: (B,) image of each row, below ``num_rows`` for a bank.
            z_latent: (B, d) unit vectors, one an image.
            z_binary: (B, d), the same.
            labels: (B,), None for unknown.
        """
        steps, enqueued = self._counters()
        if self.kind != 'batch':
            self._check_allocated()
            z = gather_ranks(_widen(torch.cat([z_latent, z_binary], 1))).unflatten(1, (2, self.dim))
            identity, labels = self._gather_records(sample_idx, labels)
            if self.kind == 'bank':
                rows = identity
                old = _widen(torch.stack([self.latent[rows], self.binary[rows]], 1))
                z = F.normalize(self.momentum * old + (1 - self.momentum) * z, dim=2)
                # Writing one row twice would leave either: let both writes hold the first one's values.
                first = (rows[:, None] == rows).int().argmax(1)
                z, labels = z[first], labels[first]
            else:
                z, identity, labels = (x[-len(self.latent):] for x in (z, identity, labels))
                rows = (torch.arange(len(z), device=z.device) + enqueued) % len(self.latent)
                enqueued += len(z)
            for name, new in zip(_PER_ROW, (*z.unbind(1), labels, identity)):
                buffer = getattr(self, name)
                buffer[rows] = new.to(buffer.dtype)
        self._host = steps + 1, enqueued
        self.steps.fill_(steps + 1)
        self.enqueued.fill_(enqueued)

    def _draw_indices(self) -> Tensor:
        device, count = self.latent.device, len(self.latent)
        if self.num_negatives >= count:
            return torch.arange(count, device=device)
        steps, enqueued = self._counters()
        if self.kind == 'queue':
            count = min(max(enqueued, 1), count)
        return torch.randint(count, (self.num_negatives,), device=device, generator=self._generator(1, steps))

    def _mask(self, sample_idx: Tensor, labels: Optional[Tensor], identity: Tensor, others: Tensor) -> Tensor:
        mask = (sample_idx[:, None] != identity) & (identity >= 0)  # a queue's unfilled rows have none
        if self.other_classes_only:
            mask &= (labels[:, None] != others) | (others < 0)
        return mask

    def _gather_records(self, sample_idx: Tensor, labels: Optional[Tensor]) -> 'tuple[Tensor, Tensor]':
        labels = torch.full_like(sample_idx, -1) if labels is None else labels.to(sample_idx.dtype)
        return gather_ranks(torch.stack([sample_idx, labels], 1)).unbind(1)

    def _generator(self, *position: int) -> torch.Generator:
        seed = np.random.SeedSequence((self.seed, *position)).generate_state(1, np.uint64)
        return torch.Generator(self.latent.device).manual_seed(int(seed[0]))

    def _counters(self) -> 'tuple[int, int]':
        if self._host is None:
            self._host = int(self.steps), int(self.enqueued)
        return self._host

    def _resize(self, num_rows: int) -> None:
        for name in _PER_ROW:
            buffer = getattr(self, name)
            setattr(self, name, buffer.new_empty(num_rows, *buffer.shape[1:]))

    def _check_allocated(self) -> None:
        if not len(self.latent):
            raise RuntimeError(
                "MemoryBank: the bank has no rows yet. Add dict(type='cmim_mm.MemoryBankHook') to the "
                "config's custom_hooks, or call allocate(len(dataset)) before training.")

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        saved = state_dict.get(f'{prefix}latent')
        if saved is not None and len(saved) != len(self.latent):
            self._resize(len(saved))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._host = None


def _widen(rows: Tensor) -> Tensor:
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def _check_choice(name: str, value: str, choices: 'tuple[str, ...]') -> None:
    if value not in choices:
        raise ValueError(f"MemoryBank: {name} '{value}' is unknown; choose one of {', '.join(choices)}")
