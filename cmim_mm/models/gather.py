"""Joins what the ranks hold, in the order of one process's batch."""
import torch
from mmengine.dist import all_gather, all_reduce, get_dist_info
from torch import Tensor


def gather_ranks(x: Tensor) -> Tensor:
    """Rows of all ranks, (B, ...) -> (B R, ...), with gradients.

    Row i of rank r lands at i R + r: samplers deal a batch out to the ranks like cards, so this is the
    order in which one process would have seen the joined batch. Every rank gets the same tensor.

    The gradient of a rank's own rows is the sum of what all ranks' losses send to them. With a loss that is
    a mean over a rank's anchors, the mean over ranks that DDP takes is then the gradient of the mean over
    the joined batch.

    Args:
        x: (B, ...), B and the other sizes the same on every rank.
    """
    return x if get_dist_info()[1] == 1 else _Gather.apply(x)


class _Gather(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return torch.stack(all_gather(x.contiguous()), 1).flatten(0, 1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        rank, ranks = get_dist_info()
        grad = grad.clone(memory_format=torch.contiguous_format)
        all_reduce(grad)
        return grad[rank::ranks]
