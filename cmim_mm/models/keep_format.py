"""Gradients in the memory format of what they belong to."""
import torch
from torch import Tensor


def keep_format(x: Tensor) -> Tensor:
    """x, (N, C, H, W), whose gradient has the channels last where x has.

    Pooling to one value and slices hand back gradients with the channels first; shortcuts would carry them
    through the whole network, where each elementwise pass over two formats takes ten times as long on a CPU.
    A compiler chooses formats by itself.
    """
    last = torch.channels_last
    if x.requires_grad and x.is_contiguous(memory_format=last) and not torch.compiler.is_compiling():
        x = x.view_as(x)
        x.register_hook(lambda grad: grad.contiguous(memory_format=last))
    return x
