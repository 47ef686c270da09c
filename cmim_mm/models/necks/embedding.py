"""Activations as unit vectors."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..gather import gather_ranks

#: Added to variances.
EPS = 1e-5


def standardize_columns(x: Tensor, sample: Optional[Tensor] = None) -> Tensor:
    """(x - mean) / sqrt(var + 1e-5) of each column of (N, C), both over the rows of ``sample`` (x itself).

    var is the mean square; a constant column, or a single row, gives zeros.
    """
    sample = x if sample is None else sample
    mean = sample.mean(0)
    return (x - mean) / ((sample - mean).square().mean(0) + EPS).sqrt()


class Embedding(nn.Module):
    """z = u / |u| with u = W x + b, x standardized over the batch of all ranks first where asked.

    (N, P, features) -> (N, P, dim), in at least float32 under autocast too.

    Args:
        features: Width of x.
        dim: Width d of z.
        standardize: Takes the mean of the batch off each column and divides by its standard deviation: a
            mean vector that all images share would carry most of x's norm.
        trained: W and b are parameters; else buffers, which no optimizer sees.
    """

    def __init__(self, features: int, dim: int, standardize: bool, trained: bool) -> None:
        super().__init__()
        self.standardize = standardize
        for name, value in nn.Linear(features, dim).named_parameters():
            if trained:
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value.detach())

    @property
    def features(self) -> int:
        return self.weight.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            dtype = torch.promote_types(self.weight.dtype, torch.float32)
            rows = x.flatten(0, 1).to(dtype)
            if self.standardize:
                rows = standardize_columns(rows, gather_ranks(rows) if self.training else rows)
            return F.normalize(F.linear(rows, self.weight.to(dtype), self.bias.to(dtype)),
                               dim=1).unflatten(0, x.shape[:2])
