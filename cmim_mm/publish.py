"""The part of a training's checkpoint that others need: weights, and what the classes are called."""
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

import torch
from torch import nn

from cmim_mm.atomic import write_atomically
from cmim_mm.binarize import BinaryConv2d
from cmim_mm.bit_weights import encode_bit_weights
from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.deploy.checkpoint import PackedState

#: What of ``meta`` is kept.
_META = ('dataset_meta', 'epoch', 'iter', 'cmim_mm_version', 'mmengine_version')


def stripped(path: Union[str, Path]) -> dict[str, Any]:
    """``state_dict`` and the harmless part of ``meta``, without optimizer, schedules and logs.

    Under EMA ``state_dict`` holds the averaged weights already, as MMEngine saves it.

    Raises:
        CheckpointError: The file is no checkpoint of a training, or a packed model.
    """
    checkpoint = load_checkpoint_file(path, 'cpu')
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get('state_dict'), dict):
        raise CheckpointError(f'{path}: holds no state_dict. Give the file that training saved, e.g. '
                              'iter_20000.pth')
    if isinstance(checkpoint['state_dict'], PackedState):
        raise CheckpointError(f'{path}: is a packed model, which nothing can be trained from. Give the '
                              'checkpoint that it was packed of')
    return {'state_dict': checkpoint['state_dict'], 'meta': _kept(checkpoint.get('meta') or {})}


def to_bytes(checkpoint: dict[str, Any]) -> bytes:
    """As ``torch.save`` writes it."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


def strip_to(source: Union[str, Path], target: Union[str, Path]) -> None:
    """Writes the stripped ``source`` to ``target``, whole or not at all."""
    write_atomically(to_bytes(stripped(source)), target)


def one_bit(model: nn.Module, meta: Mapping[str, Any]) -> bytes:
    """A trained model as a checkpoint to train on from, with bits for binary filters (``bit_weights.py``).

    The model is left with the weights that the checkpoint gives.

    Args:
        model: The model.
        meta: Of its checkpoint.

    Raises:
        CheckpointError: It has no binary filters, or some whose bits are not enough; names the layer.
    """
    filters = {f'{name}.weight': module for name, module in model.named_modules()
               if isinstance(module, BinaryConv2d)}
    if not filters:
        raise CheckpointError('the model of this config has no binary convolution: write a .pth file')
    for name, conv in filters.items():
        _reduce_to_bits(name, conv)
    return encode_bit_weights(model.state_dict(), [*filters], _kept(meta))


@torch.no_grad()
def _reduce_to_bits(name: str, conv: BinaryConv2d) -> None:
    """w -> mean|w_o| s, of which the layer must make the same binary weight as before."""
    if not conv.weight.isfinite().all():
        raise CheckpointError(f'{name} holds NaN or infinite numbers: its training diverged')
    try:
        before = conv.weight_form()
    except ValueError as error:
        raise CheckpointError(f'{name}: {error}') from error
    conv.weight.copy_(before.sign * conv.weight.abs().mean((1, 2, 3), keepdim=True))
    if not torch.allclose(conv.weight_form().value(), before.value()):
        raise CheckpointError(f'{name}: {type(conv.binarizer).__name__} makes other weights of the signs of '
                              'its own, so that bits are no checkpoint to train on from: write a .pth file')


def _kept(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {key: meta[key] for key in _META if key in meta}
