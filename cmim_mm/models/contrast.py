"""CMIM's algorithm: one step of one tapped layer."""
from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch
from mmengine.dist import get_dist_info
from torch import Tensor

from .gather import gather_ranks
from .losses.cmim_loss import CMIMLoss, infonce_bound
from .losses.nce import SCORES
from .memories import Memory, Rows

#: Anchors at most for the logged bound, whose cost is their square.
LOGGED = 512


class Contrast(NamedTuple):
    """What one step gives, all 0-dimensional.

    Attributes:
        loss: Both directions, with gradients.
        cosine: Mean over the anchors of <z_B, its positive's z_F>.
        bound: InfoNCE bound among the step's own embeddings, nats.
    """
    loss: Tensor
    cosine: Tensor
    bound: Tensor


def contrast(criterion: CMIMLoss, memory: Memory, latent: Tensor, binary: Tensor, identity: Tensor,
             labels: Optional[Tensor] = None, positives: str = 'image', negatives: str = 'all',
             indices: Optional[Tensor] = None) -> Contrast:
    """Contrasts binary anchors with latent negatives and latent anchors with binary ones.

    Args:
        criterion: The loss of one direction; side 0 has binary anchors, side 1 latent ones.
        memory: Where the negatives come from; it takes the step's embeddings in.
        latent: (N, d) unit vectors z_F, or (N, P, d) with P positions an image.
        binary: z_B, of the same shape.
        identity: (N,) or (N, P); negative: no anchor, no negative. On the CPU it is checked.
        labels: As identity, negative where unknown; None where no class is known.
        positives: An anchor's positive is the other side of the same row ('image'), of the next row of its
            class in the batch of all ranks ('class'), of the row of another image there that its latent side
            is most alike to ('neighbour'), or the other side's row in the bank ('bank').
        negatives: 'all', or 'other_classes': those of the anchor's own class are masked too.
        indices: (A, M) explicit rows of the memory for each anchor, taken as they are: the form of CMIM's
            public code.

    Raises:
        ValueError: An image that the memory has no row for.
    """
    memory.admit(identity)
    identity = identity.to(latent.device, non_blocking=True)
    labels = torch.full_like(identity, -1) if labels is None else labels.to(latent.device, non_blocking=True)
    own = latent, binary, identity, labels
    batch = _flat(_join_ranks(*own))
    own = _flat(own)

    rows = memory.draw(batch) if indices is None else memory.take(indices)
    to_latent, to_binary, partners = _positives(positives, memory, own, batch, len(identity))
    usable = _usable(own, partners, rows, negatives) if indices is None else None
    loss = (criterion(own.binary, to_latent, rows.latent, usable, side=0)
            + criterion(own.latent, to_binary, rows.binary, usable, side=1))
    memory.update(batch.detach())

    with torch.no_grad():
        anchors = own.identity >= 0
        share = (batch.identity >= 0).float().mean().clamp_min(1e-6)  # the loss is a mean over all rows
        cosine = ((own.binary * to_latent).sum(1) * anchors).sum() / anchors.sum().clamp_min(1)
        bound = infonce_bound(own.binary[:LOGGED], own.latent[:LOGGED], criterion.temperature,
                              anchors[:LOGGED])
    return Contrast(loss / share, cosine, bound)


def _join_ranks(latent: Tensor, binary: Tensor, identity: Tensor, labels: Tensor) -> Sequence[Tensor]:
    """The rows of all ranks in two exchanges; the positions of an image stay together."""
    z = gather_ranks(torch.cat([latent, binary], -1))
    records = gather_ranks(torch.stack([identity, labels], -1))
    return *z.chunk(2, -1), *records.unbind(-1)


def _flat(rows: Sequence[Tensor]) -> Rows:
    latent, binary, identity, labels = rows
    return Rows(latent.flatten(0, -2), binary.flatten(0, -2), identity.flatten(), labels.flatten())


def _positives(positives: str, memory: Memory, own: Rows, batch: Rows,
               images: int) -> tuple[Tensor, Tensor, Optional[Tensor]]:
    """(A, d) twice, the positives of binary anchors, which are latent, and of latent anchors; (A,) whose they
    are, None for the anchors' own."""
    if positives == 'image':
        return own.latent, own.binary, None
    if positives == 'bank':
        kept = memory.take(own.identity)
        return kept.latent, kept.binary, None
    rank, ranks = get_dist_info()
    rows = torch.arange(len(batch.identity), device=batch.identity.device).view(images * ranks, -1)
    mine = rows[rank::ranks].flatten()
    if positives == 'class':
        partner = next_of_class(batch.labels)[mine]
    else:
        partner = nearest(batch, mine, positions=rows.shape[1])
    return batch.latent[partner], batch.binary[partner], batch.identity[partner]


def _usable(anchors: Rows, partners: Optional[Tensor], rows: Rows, negatives: str) -> Tensor:
    """(A, N), True where an anchor may use a row: another identity, no positive's, perhaps another class."""
    usable = (anchors.identity[:, None] != rows.identity) & (rows.identity >= 0)
    usable &= anchors.identity[:, None] >= 0
    if partners is not None:
        usable &= partners[:, None] != rows.identity
    if negatives == 'other_classes':
        usable &= (anchors.labels[:, None] != rows.labels) | (rows.labels < 0)
    return usable


@torch.no_grad()
def nearest(batch: Rows, mine: Tensor, positions: int = 1) -> Tensor:
    """For some rows the row of another image whose latent side has the largest cosine with theirs.

    A row itself where there is no other. Dwibedi et al., With a Little Help from My Friends, arXiv
    2104.14548, who look in a queue.

    Args:
        batch: Of all ranks, the positions of an image side by side.
        mine: (A,), numbers of the rows that are asked for.
        positions: Of an image.

    Returns:
        (A,), numbers of rows.
    """
    found, image = [], torch.arange(len(batch.identity), device=mine.device) // positions
    for part in mine.split(max(SCORES // len(batch.identity), 1)):
        other = (batch.identity[part, None] != batch.identity) & (batch.identity >= 0)
        other &= image[part, None] != image
        with torch.autocast(mine.device.type, enabled=False):
            cosines = (batch.latent[part] @ batch.latent.T).masked_fill_(~other, -torch.inf)
        found.append(torch.where(other.any(1), cosines.argmax(1), part))
    return torch.cat(found)


def next_of_class(labels: Tensor) -> Tensor:
    """For each of N labels the index of the next equal one, cyclically; its own where there is none.

    Unknown labels (negative) get their own.
    """
    order = labels.argsort(stable=True)
    ordered, place = labels[order], torch.arange(len(labels), device=labels.device)
    first = torch.searchsorted(ordered, ordered)
    last = torch.searchsorted(ordered, ordered, right=True) - 1
    following = torch.where(place == last, first, place + 1)
    following = torch.where(ordered < 0, place, following)
    return torch.empty_like(order).scatter_(0, order, order[following])
