"""Tells the parts of a model how far training is."""
from torch import nn

from .conv import BinaryConv2d


def set_progress(model: nn.Module, progress: float) -> None:
    """Sets the elapsed fraction of training in every part of a model that has a buffer ``progress``.

    These are the binarizers and ``CMIMHead``. Wrappers (DistributedDataParallel, compiled modules) are
    reached through. A model without such parts is left as it is.

    Args:
        model: any module.
        progress: 0 (start) to 1 (end).

    Raises:
        ValueError: progress lies outside [0, 1].
    """
    if not 0 <= progress <= 1:
        raise ValueError(f'progress={progress}: expected the elapsed fraction of training, between 0 and 1')
    for module in model.modules():
        if 'progress' in module._buffers:
            module.progress.fill_(progress)


def start_epoch(model: nn.Module) -> None:
    """Lets every binary layer in training mode do what its method does once an epoch (RBNN's rotation)."""
    for module in model.modules():
        if isinstance(module, BinaryConv2d):
            module.start_epoch()
