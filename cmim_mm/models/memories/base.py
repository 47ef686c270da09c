"""What a memory of negatives is: the protocol that ``contrast`` talks to."""
import json
from typing import NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor

#: Bytes kept of what a memory's rows are; fixed, so that averaged copies of a model have room for it.
CARD = 512


class Rows(NamedTuple):
    """Embeddings of both sides, and what they belong to.

    Attributes:
        latent: (A, d) unit vectors.
        binary: (A, d).
        identity: (A,) int64: which image, or which position of which image. Negative: none; such a row is
            no anchor and no negative.
        labels: (A,) int64, negative where the class is unknown.
    """
    latent: Tensor
    binary: Tensor
    identity: Tensor
    labels: Tensor

    def detach(self) -> 'Rows':
        """The same without gradients."""
        return Rows(*(x.detach() for x in self))


class Memory(BaseModule):
    """Where the negatives of a tapped layer come from; a subclass registered in MODELS is one more ``type``.

    ``contrast`` calls, once each and in this order: :meth:`admit` with the identities of its own batch,
    :meth:`draw` with the batch of all ranks joined, and :meth:`update` with the same, detached. The joined
    batch is the same on every rank, so a memory knows nothing of ranks; what it draws at random must follow
    from its own state. All state belongs into buffers.

    Args:
        dim: Width d of the embeddings.

    Attributes:
        per_image: Whether each image has a row of its own, found by its identity (``take``).
        origin: What the rows are embeddings of, as plain data; kept with them, see :meth:`check_origin`.
    """
    per_image: bool = False

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.origin: dict[str, object] = dict(memory=type(self).__name__, dim=dim)
        self.register_buffer('card', torch.zeros(CARD, dtype=torch.uint8))
        self._checked = False

    def admit(self, identity: Tensor) -> None:
        """Raises where an identity cannot be held."""

    def draw(self, batch: Rows) -> Rows:
        """Negatives of this step, shared by all anchors: the same on every rank.

        Args:
            batch: The rows of all ranks, with their gradients.
        """
        raise NotImplementedError

    def update(self, batch: Rows) -> None:
        """Takes the rows of all ranks in, and ends the step."""

    def restart(self) -> None:
        """Forgets what another run left."""
        self.card.zero_()
        self._checked = False

    def check_origin(self) -> None:
        """Makes sure that the rows, where they were resumed, are of the same memory, data and embedding.

        Raises:
            ValueError: They are not; names what differs.
        """
        if self._checked:
            return
        saved = bytes(self.card.cpu().tolist()).rstrip(b'\0').decode()
        saved = json.loads(saved) if saved else {}
        differs = [f'{key} {saved[key]!r} there, {self.origin[key]!r} here'
                   for key in self.origin if key in saved and saved[key] != self.origin[key]]
        if differs:
            raise ValueError(
                f'{type(self).__name__}: the rows of the resumed checkpoint are not of this run: '
                f'{"; ".join(differs)}. Resume with the data and the config of that run, or start a new run '
                'from its weights: load_from=CHECKPOINT without --resume.')
        text = json.dumps(self.origin).encode()[:CARD]
        self.card[:len(text)] = torch.tensor(list(text), dtype=torch.uint8)
        self._checked = True

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._checked = False


def widen(rows: Tensor) -> Tensor:
    """At least float32."""
    return rows.to(torch.promote_types(rows.dtype, torch.float32))
