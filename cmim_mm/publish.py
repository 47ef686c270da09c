"""The part of a training's checkpoint that others need: weights, and what the classes are called."""
import io
from pathlib import Path
from typing import Any, Union

import torch

from cmim_mm.atomic import write_atomically
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
