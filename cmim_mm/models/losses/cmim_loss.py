"""Contrastive mutual-information loss: one direction, one tapped layer."""
import math
from typing import Optional

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

from cmim_mm.registry import MODELS

from .nce import log_sum, noise_contrast, scores


@MODELS.register_module()
class CMIMLoss(nn.Module):
    r"""Contrasts each anchor's positive with its negatives.

    With s = <z, z'> / temperature for unit vectors z, z' and N_i the number of negatives that anchor i may
    use, the forms are

    .. math::
        \text{nce:} \quad & L_i = -\log h(s_i^+) - \sum_j \log (1 - h(s_{ij}^-)), \quad
                            h(s) = \frac{r}{r + N_i}, \; r = e^s / Z \\
        \text{infonce:} \quad & L_i = -s_i^+ + \log \Big( e^{s_i^+} + \sum_j e^{s_{ij}^-} \Big)

    and the loss is the mean of L_i over the anchors. An anchor without negatives contributes 0. h is
    computed as the sigmoid of x = s - log Z - log N_i, which cannot overflow and needs no epsilon (the
    reference's 1e-7, beside N/M, changes h by a relative 1e-7 M/N).

    **Normalizer.** Z is the mean of exp(s) over the usable negatives of the first training step that has
    any, over all ranks; one for each side, then constant, saved with the model (as log Z); 1 until
    then. The reference's Z is this times the number of images M, and averages the positive in: harmless
    where that is a random bank row, not where it is the live pair. Each tapped layer needs a loss of its own.

    **Bound.** For independent draws of the negatives from the same distribution as the positive's other
    half, I(z; z') >= log N - L (nce) and log(N + 1) - L (infonce) in expectation, for any critic and so for
    any Z. With the best critic and many negatives the second is tight up to log(N + 1); the first stays
    1 nat below (its negatives' sum tends to E[r] = 1). It is no bound with negatives of other classes only,
    with negatives embedded by an older network (bank, queue) or positives from the bank, and none of
    I(a_B; a_F) where the positive is another image or another network's.
    Own-image masking draws from M - 1 images rather than M and matters only for small M. On training images
    it says nothing about new ones.

    Source: Shang et al., 2022 (arXiv 2207.02970); Tian et al., 2020 (CRD, arXiv 1910.10699); van den Oord et
    al., 2018 (arXiv 1807.03748), eq. 4.

    Args:
        temperature: tau > 0.
        form: 'nce' or 'infonce'.

    Raises:
        ValueError: A bad argument, or shapes that do not fit.
    """

    def __init__(self, temperature: float = 0.1, form: str = 'nce') -> None:
        super().__init__()
        if form not in ('nce', 'infonce'):
            raise ValueError(f"CMIMLoss: form '{form}' is unknown; choose 'nce' or 'infonce'")
        if not temperature > 0:
            raise ValueError(f'CMIMLoss: temperature must be positive, got {temperature}')
        self.temperature = temperature
        self.form = form
        self.register_buffer('log_normalizer', torch.zeros(2))
        self.register_buffer('estimated', torch.zeros(2, dtype=torch.bool))
        self._estimated = set()  # sides known to be estimated, so that no step waits for the device

    def forward(self,
                anchor: Tensor,
                positive: Tensor,
                negatives: Tensor,
                mask: Optional[Tensor] = None,
                side: int = 0) -> Tensor:
        """The mean over the anchors, in float32 (float64 for float64 input) under autocast too.

        Args:
            anchor: (B, d) unit vectors.
            positive: (B, d), the other half of each anchor's pair.
            negatives: (N, d) shared by all anchors, or (B, N, d).
            mask: (B, N), True where an anchor may use a negative; None for all.
            side: Which normalizer: 0 or 1, one for each direction.
        """
        self._check(anchor, positive, negatives, mask)
        if mask is None:
            mask = negatives.new_ones(len(anchor), negatives.shape[-2], dtype=torch.bool)
        with torch.autocast(anchor.device.type, enabled=False):
            dtype = torch.promote_types(anchor.dtype, torch.float32)
            anchor, negatives = anchor.to(dtype) / self.temperature, negatives.to(dtype)
            positive = (anchor * positive.to(dtype)).sum(1)
            if self.form == 'infonce':
                return _infonce(anchor, positive, negatives, mask).mean()
            if self.training and side not in self._estimated:
                self._estimate(anchor.detach(), negatives.detach(), mask, side)
            return noise_contrast(anchor, positive, negatives, mask, self.log_normalizer[side].to(dtype))

    def _estimate(self, anchor: Tensor, negatives: Tensor, mask: Tensor, side: int) -> None:
        """Sets log Z of a side, unless a checkpoint did or no rank has a negative yet."""
        if not self.estimated[side]:
            # Unit vectors score at most 1 / temperature: relative to that, nothing overflows.
            relative = (log_sum(anchor, negatives, mask).double() - 1 / self.temperature).exp()
            total, count = sums = torch.stack([relative, mask.sum().double()])
            all_reduce(sums)
            if not count:
                return
            self.log_normalizer[side] = (total / count).log() + 1 / self.temperature
            self.estimated[side] = True
        self._estimated.add(side)

    def restart(self) -> None:
        """Forgets the normalizers that another run left."""
        self.log_normalizer.zero_()
        self.estimated.zero_()
        self._estimated.clear()

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._estimated.clear()

    @staticmethod
    def _check(anchor: Tensor, positive: Tensor, negatives: Tensor, mask: Optional[Tensor]) -> None:
        shapes = [None if x is None else tuple(x.shape) for x in (anchor, positive, negatives, mask)]
        fits = anchor.dim() == 2 and positive.shape == anchor.shape and negatives.shape[-1] == anchor.shape[1]
        fits &= negatives.dim() == 2 or (negatives.dim() == 3 and len(negatives) == len(anchor))
        if not fits or (mask is not None and shapes[3] != (len(anchor), negatives.shape[-2])):
            raise ValueError(
                'CMIMLoss: expected anchor (B, d), positive (B, d), negatives (N, d) or (B, N, d), mask '
                f'(B, N); got {shapes}. Flatten positions of dense embeddings to anchors first.')


def infonce_bound(z_a: Tensor, z_b: Tensor, temperature: float, valid: Optional[Tensor] = None) -> Tensor:
    r"""Lower bound of the mutual information I(a; b) in nats, among N pairs of unit vectors (N, d).

    .. math:: \log N + \frac{1}{N} \sum_i \log \frac{\exp(\langle z_a^i, z_b^i \rangle / \tau)}
                                                    {\sum_j \exp(\langle z_a^i, z_b^j \rangle / \tau)}

    van den Oord et al., arXiv 1807.03748, eq. 5. It cannot exceed log N, and a poor critic can make it
    negative.

    Args:
        z_a: (N, d).
        z_b: (N, d), the same images in the same order.
        temperature: tau.
        valid: (N,) bool, the pairs that count; None for all.
    """
    scores = z_a @ z_b.T / temperature
    valid = scores.new_ones(len(scores), dtype=torch.bool) if valid is None else valid
    count = valid.sum().clamp_min(1)
    terms = scores.diagonal() - scores.masked_fill(~valid, -math.inf).logsumexp(1)
    return torch.where(valid, terms, 0).sum() / count + count.log()


def _infonce(anchor: Tensor, positive: Tensor, negatives: Tensor, mask: Tensor) -> Tensor:
    """L_i, (B,)."""
    found = scores(anchor, negatives).masked_fill(~mask, -math.inf)
    return torch.logsumexp(torch.cat([positive[:, None], found], 1), 1) - positive
