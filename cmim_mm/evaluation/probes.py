r"""Figures that say what a binary network does inside; see ``docs/probes.md``.

Each is a function of tensors alone. Whatever is drawn at random has a generator of its own.
"""
import math
from typing import Callable, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from cmim_mm.models.losses.cmim_loss import infonce_bound

#: Fixed: a temperature chosen on the images that are measured would raise the bound above the truth.
TEMPERATURE = 0.1
#: Of the similarity that weighs a neighbour's vote (Wu et al., arXiv 1805.01978, sec. 3.4).
VOTE_TEMPERATURE = 0.07
#: A slope of at most this share of the largest one counts as none.
FLAT = 1e-3


def info_nce_bound(z_a: Tensor, z_b: Tensor, temperature: float = TEMPERATURE) -> float:
    """:func:`~cmim_mm.models.losses.cmim_loss.infonce_bound` of rows that are brought to unit length here."""
    return infonce_bound(*(F.normalize(z.float(), dim=1) for z in (z_a, z_b)), temperature).item()


def flip_ratio(before: Tensor, after: Tensor) -> float:
    """Share (0 to 1) of the signs that differ between two tensors of one shape."""
    return (before != after).float().mean().item()


def slopes(binarize: Callable[[Tensor], Tensor], x: Tensor, draws: int = 8, seed: int = 0) -> Tensor:
    r""":math:`\partial b(x)_i / \partial x_i` as the gradient estimator has it, at random places i.

    One element of the diagonal of the Jacobian at a time, so that statistics of an image that enter b
    (RBNN, ReCU) do not blur it, and any binarizer can be asked.

    Args:
        binarize: b, whose images do not see each other.
        x: Latent activations (N, C, H, W).
        draws: Places in each image.
        seed: Of the places.

    Returns:
        (N, draws).
    """
    places = torch.randint(x[0].numel(), (draws, len(x), 1), generator=torch.Generator().manual_seed(seed))
    found = []
    for place in places.to(x.device):
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            picked = binarize(leaf).flatten(1).gather(1, place).sum()
            gradient, = torch.autograd.grad(picked, leaf)
        found.append(gradient.flatten(1).gather(1, place))
    return torch.cat(found, 1)


def saturation(slope: Tensor) -> float:
    """Share (0 to 1) of slopes that are 0 or at most a thousandth of the largest: no gradient passes there.

    Args:
        slope: What :func:`slopes` gives for one layer.
    """
    slope = slope.abs()
    return (slope <= FLAT * slope.max()).float().mean().item()


def knn_accuracy(features: Tensor, labels: Tensor, groups: Optional[Tensor] = None, k: int = 5,
                 chunk: int = 1024) -> float:
    """Share (0 to 1) of rows whose class the k nearest others vote for, by cosine.

    A neighbour's vote weighs exp(cosine / 0.07); Wu et al., arXiv 1805.01978, sec. 3.4.

    Args:
        features: (N, C); center them first, or a common mean makes all cosines alike.
        labels: (N,), int64.
        groups: (N,), rows of one group are no neighbours of each other (cells of one image); by default
            each row is a group of its own: leave one out.
        k: Neighbours; fewer where there are fewer other rows.
        chunk: Rows at a time.

    Returns:
        The share; nan where there are less than two groups.
    """
    groups = torch.arange(len(labels), device=labels.device) if groups is None else groups
    if len(groups.unique()) < 2:
        return math.nan
    features = F.normalize(features.float(), dim=1)
    classes, right = int(labels.max()) + 1, 0
    for rows in torch.arange(len(labels), device=labels.device).split(chunk):
        cosine = features[rows] @ features.T
        cosine.masked_fill_(groups[rows, None] == groups, -torch.inf)
        nearest = cosine.topk(min(k, len(labels) - 1), 1)
        votes = cosine.new_zeros(len(rows), classes)
        votes.scatter_add_(1, labels[nearest.indices], ((nearest.values - 1) / VOTE_TEMPERATURE).exp())
        right += (votes.argmax(1) == labels[rows]).sum().item()
    return right / len(labels)
