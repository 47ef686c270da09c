"""The part of a training's checkpoint that others need: weights, and what the classes are called."""
import io
from pathlib import Path
from typing import Any, Union

import torch
from torch import nn

from cmim_mm.atomic import write_atomically
from cmim_mm.binarize import BinaryConv2d
from cmim_mm.bit_weights import encode_bit_weights
from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file

#: What of ``meta`` is kept.
_META = ('dataset_meta', 'epoch', 'iter', 'cmim_mm_version', 'mmengine_version')


def stripped(path: Union[str, Path]) -> dict[str, Any]:
    """``state_dict`` and the harmless part of ``meta``, without optimizer, schedules and logs.

    Under EMA ``state_dict`` holds the averaged weights already, as MMEngine saves it.

    Raises:
        CheckpointError: The file is no checkpoint of a training.
    """
    checkpoint = load_checkpoint_file(path, 'cpu')
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get('state_dict'), dict):
        raise CheckpointError(f'{path}: holds no state_dict. Give the file that training saved, e.g. '
                              'iter_20000.pth')
    meta = checkpoint.get('meta') or {}
    return {'state_dict': checkpoint['state_dict'], 'meta': {key: meta[key] for key in _META if key in meta}}


def to_bytes(checkpoint: dict[str, Any]) -> bytes:
    """As ``torch.save`` writes it."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


def strip_to(source: Union[str, Path], target: Union[str, Path]) -> None:
    """Writes the stripped ``source`` to ``target``, whole or not at all."""
    write_atomically(to_bytes(stripped(source)), target)


def one_bit(model: nn.Module) -> bytes:
    """A trained model as a checkpoint to train on from, with bits for binary filters (``bit_weights.py``).

    The model is left with the weights that the checkpoint gives.

    Raises:
        CheckpointError: A method makes other weights of its own binary ones; names the layer.
    """
    filters = {}
    for name, conv in model.named_modules():
        if not isinstance(conv, BinaryConv2d):
            continue
        form = conv.weight_form()
        filters[f'{name}.weight'], binary = form, form.value().detach()
        conv.weight.data.copy_(binary)
        if not torch.allclose(conv.weight_form().value(), binary):
            raise CheckpointError(f'{name}: {type(conv.binarizer).__name__} makes other weights of its own '
                                  'binary ones, so bits are no checkpoint to train on from: write .pth')
    return encode_bit_weights({name: value for name, value in model.state_dict().items()
                               if not name.endswith('num_batches_tracked')}, filters)
