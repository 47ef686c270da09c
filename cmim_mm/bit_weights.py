"""Checkpoints to train on from, whose binary filters are bits.

A filter's latent weights are replaced by m_o s: their signs s, -1 and +1, times their mean magnitude m_o.
That binarizes to the same weights, so that the network computes the same, and training goes on from it.

It is a safetensors file (``safetensors_file.py``). Its metadata are ``bit_weights``, JSON
{name: [O, kh, kw, I]}, and ``meta``, JSON: names of classes and the like. A tensor of such a name is uint8,
eight signs a byte in the order of ``deploy.format``, and stands beside ``name.scale``, (O,). All else is as
in the trained model. ``publish.one_bit`` writes it.
"""
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .deploy.format import check_bits, pack_bits, unpack_bits
from .deploy.safe_config import as_data, from_data
from .safetensors_file import BadHeader, load_json, to_bytes

_KEY = 'bit_weights'


def encode_bit_weights(state: Mapping[str, Tensor], filters: Sequence[str], meta: Mapping[str, Any]) -> bytes:
    """A file's content.

    Args:
        state: Name -> tensor; a filter is (O, I, kh, kw), of one magnitude in each output channel.
        filters: Names of those that are stored as bits.
        meta: Plain data.
    """
    tensors, shapes = {key: value for key, value in state.items() if key not in filters}, {}
    for name in filters:
        o, i, kh, kw = state[name].shape
        shapes[name] = [o, kh, kw, i]
        tensors[name], tensors[f'{name}.scale'] = pack_bits(state[name]), state[name][:, 0, 0, 0].abs()
    return to_bytes(tensors, {
        'format': 'pt', _KEY: json.dumps(shapes), 'meta': json.dumps(as_data(dict(meta)))})


def expand_bit_weights(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, Any]:
    """``state_dict`` and ``meta`` of a file; one without bits keeps its tensors as they are.

    Raises:
        FileRefused: The bits do not fit the tensors.
    """
    if _KEY not in metadata:
        return {'state_dict': dict(tensors), 'meta': {}}
    shapes, meta = load_json(metadata[_KEY]), load_json(metadata.get('meta', '{}'))
    if not isinstance(shapes, dict) or not isinstance(meta, dict):
        raise BadHeader(f'{_KEY} and meta must be JSON objects')
    state = dict(tensors)
    for name, (o, kh, kw, i) in check_bits(shapes, tensors, _KEY).items():
        scale = state.pop(f'{name}.scale', None)
        if (scale is None or scale.shape != (o, ) or scale.dtype != torch.float32
                or not scale.isfinite().all()):
            raise BadHeader(f'{_KEY}: {name} needs {name}.scale, {o} finite numbers in float32')
        state[name] = unpack_bits(tensors[name], (o, i, kh, kw)) * scale.view(-1, 1, 1, 1)
    return {'state_dict': state, 'meta': from_data(meta)}
