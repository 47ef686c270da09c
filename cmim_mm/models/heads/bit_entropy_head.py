"""The entropy of the bits, raised directly."""
import math
from collections.abc import Sequence
from typing import Optional, Union

import torch
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement
from torch import Tensor

from cmim_mm.registry import MODELS

from ..gather import gather_ranks

#: Of :func:`entropy_bound`, in nats a bit; a fair bit itself has log 2 = 0.693.
MAXIMUM = 0.5 * math.log(2 * math.pi * math.e * 4 / 3) - math.log(2)


def entropy_bound(bits: Tensor) -> Tensor:
    r"""Upper bound of the joint entropy of C bits, in nats a bit, 0-dimensional.

    .. math:: H(b) \le \tfrac12 \log\det\bigl(2\pi e\,(\Sigma + \tfrac13 I)\bigr) - C \log 2

    with :math:`\Sigma` the covariance of b in {-1, +1}^C: b plus noise uniform in (-1, 1) has the entropy
    H(b) + C log 2, and of all densities of one covariance the normal one has most (Cover and Thomas,
    Elements of Information Theory, 2nd ed., theorem 8.6.5 and problem 8.7). It is largest where each bit is
    +1 half the time and no two bits are correlated.

    Args:
        bits: (n, C), -1 and +1; float32 or more.
    """
    n, channels = bits.shape
    centred = bits - bits.mean(0)
    covariance = centred.T @ centred / n
    covariance.diagonal().add_(1 / 3)
    half = 0.5 * (torch.logdet(covariance) / channels + math.log(2 * math.pi * math.e))
    return half - math.log(2)


@MODELS.register_module()
class BitEntropyHead(BaseModule):
    r"""Adds :math:`\lambda \sum_k w_k (H_{max} - \hat H(a_B^k))`, the entropy that the tapped bits lack.

    a_B is a function of a_F, so I(a_B; a_F) = H(a_B): what CMIM maximizes by a contrast is raised here by
    the bits' own statistics, without negatives, memory or embeddings. :math:`\hat H` is
    :func:`entropy_bound` over the positions of all images of the batch (of all ranks), :math:`H_{max}` its
    value for balanced, uncorrelated bits. The gradient reaches a_F by the binarizer's estimator.

    Args:
        tap_weights: w_k, one for each tap of the backbone.
        loss_weight: lambda.
        init_cfg: As in MMEngine's ``BaseModule``.

    Raises:
        ValueError: In training: the backbone has another number of taps, or their activations are not -1 and
            +1 (as DoReFa's and AdaBin's).
    """

    def __init__(self, tap_weights: Sequence[float] = (1.0, ), loss_weight: float = 1.0,
                 init_cfg: Union[dict, Sequence[dict], None] = None) -> None:
        super().__init__(init_cfg)
        self.tap_weights = tuple(tap_weights)
        self.loss_weight = loss_weight

    def loss(self, feats: Sequence[Tensor], data_samples: Sequence[BaseDataElement],
             train_cfg: Optional[dict] = None) -> dict[str, Tensor]:
        """``loss_entropy``; of each tap the bound in nats a bit, to be logged."""
        pairs = getattr(feats, 'pairs', ())
        if len(pairs) != len(self.tap_weights):
            raise ValueError(f'BitEntropyHead: {len(self.tap_weights)} tap_weights, but the backbone has '
                             f'{len(pairs)} taps; set model.backbone.taps, and one weight for each')
        total, logged = 0, {}
        for weight, name, (_, binary) in zip(self.tap_weights, feats.tap_names, pairs):
            if (binary.detach()[0].abs() != 1).any():
                raise ValueError(f'BitEntropyHead: the binary activations of {name} are not -1 and +1; take '
                                 'another binarizer')
            rows = binary.permute(0, 2, 3, 1).flatten(0, 2).float()
            with torch.autocast(rows.device.type, enabled=False):
                found = entropy_bound(gather_ranks(rows))
            total = total + weight * (MAXIMUM - found)
            logged[f'entropy.{name}'] = found.detach()
        return {'loss_entropy': self.loss_weight * total, **logged}
