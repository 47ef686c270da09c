"""The noise-contrastive objective of many anchors against shared negatives, piece by piece."""
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

#: Scores that are computed at once, and negatives: pieces that stay in a CPU's cache.
SCORES, PIECE = 2**22, 4096


class _NoiseContrast(Function):
    """The gradient is made in forward, where the scores are at hand, so that none of them is kept."""

    @staticmethod
    def forward(ctx, anchor, positive, negatives, mask, log_normalizer):
        count = mask.sum(1, dtype=torch.int32)
        shift = log_normalizer + count.clamp(min=1).log()
        x = (shift - positive).masked_fill_(count == 0, -math.inf)
        loss, to_positive = F.softplus(x), -x.sigmoid()
        needed = ctx.needs_input_grad
        to_anchor = torch.zeros_like(anchor) if needed[0] else None
        to_negatives = torch.empty_like(negatives) if needed[2] else None
        for start, part, x in _pieces(anchor, negatives, mask):
            x.sub_(shift[:, None])
            loss += F.softplus(x).sum(1)
            if not (needed[0] or needed[2]):
                continue
            pull = x.sigmoid_()  # dL_i / ds_ij
            shared = part.dim() == 2
            if needed[0]:
                to_anchor += pull @ part if shared else torch.einsum('bn,bnd->bd', pull, part)
            if needed[2]:
                to_negatives.narrow(-2, start, part.shape[-2]).copy_(
                    pull.T @ anchor if shared else pull[:, :, None] * anchor[:, None])
        ctx.save_for_backward(*(found if found is None else found / len(anchor)
                                for found in (to_anchor, to_positive, to_negatives)))
        return loss.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return *(x if x is None else x * grad for x in ctx.saved_tensors), None, None


def noise_contrast(anchor: Tensor, positive: Tensor, negatives: Tensor, mask: Tensor,
                   log_normalizer: Tensor) -> Tensor:
    r"""Mean over the anchors of :math:`-\log \sigma(x_i^+) - \sum_j \log (1 - \sigma(x_{ij}^-))`.

    x = s - log Z - log N_i, with N_i the anchor's usable negatives; an anchor without any adds 0. Memory is
    that of one piece of scores, whatever the number of negatives. It has no second derivatives.

    Args:
        anchor: (B, d), divided by the temperature.
        positive: (B,), s of each anchor's positive.
        negatives: (N, d) shared by all anchors, or (B, N, d).
        mask: (B, N), True where an anchor may use a negative.
        log_normalizer: log Z, 0-dimensional, without gradient.
    """
    return _NoiseContrast.apply(anchor, positive, negatives, mask, log_normalizer)


def log_sum(anchor: Tensor, negatives: Tensor, mask: Tensor) -> Tensor:
    """log of the sum of exp(s) over all usable negatives of all anchors, 0-dimensional."""
    total = anchor.new_tensor(-math.inf)
    for _, _, x in _pieces(anchor, negatives, mask):
        total = torch.logaddexp(total, x.flatten().logsumexp(0))
    return total


def _pieces(anchor: Tensor, negatives: Tensor, mask: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Where a piece of the negatives begins, the piece, its scores; -inf where they are not to be used."""
    size = min(PIECE, max(SCORES // max(len(anchor), 1), 256))
    for start in range(0, negatives.shape[-2], size):
        part = negatives.narrow(-2, start, min(size, negatives.shape[-2] - start))
        usable = mask.narrow(1, start, part.shape[-2])
        yield start, part, scores(anchor, part).masked_fill_(~usable, -math.inf)


def scores(anchor: Tensor, negatives: Tensor) -> Tensor:
    """(B, d) and (N, d), or (B, N, d) -> (B, N)."""
    if negatives.dim() == 2:
        return anchor @ negatives.T
    return torch.einsum('bd,bnd->bn', anchor, negatives)
