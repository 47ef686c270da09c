"""Checkpoints to train on from, whose binary filters are bits.

A trained filter is alpha_o s + beta_o with s in {-1, +1}, whatever its latent weights are. In such a
checkpoint these values are the latent weights: they binarize to the same signs and scales, so that the
network computes the same, and training goes on from it.

It is a safetensors file (``safetensors_file.py``) with the metadata ``bit_weights``: JSON,
{name: [O, kh, kw, I]}. A tensor of that name is uint8, eight signs a byte in the order of ``deploy.format``,
and stands beside ``name.scale`` and, unless it is 0, ``name.offset``, both (O,). All else is as in the
trained model. ``publish.one_bit`` writes it.
"""
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from .binarize.base import WeightForm
from .deploy.format import check_bits, pack_bits, unpack_bits
from .safetensors_file import BadHeader, load_json, to_bytes

_KEY = 'bit_weights'


def encode_bit_weights(state: Mapping[str, Tensor], filters: Mapping[str, WeightForm]) -> bytes:
    """A file's content.

    Args:
        state: Name -> tensor of all of a model's state.
        filters: Name -> binary weight, for those names that are stored as bits.
    """
    tensors, shapes = {key: value.detach() for key, value in state.items() if key not in filters}, {}
    for name, form in filters.items():
        o, i, kh, kw = form.sign.shape
        shapes[name] = [o, kh, kw, i]
        tensors[name] = pack_bits(form.sign)
        tensors[f'{name}.scale'] = torch.as_tensor(form.scale).detach().flatten().expand(o)
        if isinstance(form.offset, Tensor):
            tensors[f'{name}.offset'] = form.offset.detach().flatten()
    return to_bytes(tensors, {'format': 'pt', _KEY: json.dumps(shapes)})


def expand_bit_weights(tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> dict[str, Tensor]:
    """A file's state, with weights in the place of bits; as it is where it holds none.

    Raises:
        FileRefused: The bits do not fit the tensors.
    """
    if _KEY not in metadata:
        return tensors
    shapes = load_json(metadata[_KEY])
    if not isinstance(shapes, dict):
        raise BadHeader(f'{_KEY} must be a JSON object')
    state = dict(tensors)
    for name, (o, kh, kw, i) in check_bits(shapes, tensors).items():
        scale = state.pop(f'{name}.scale', None)
        offset = state.pop(f'{name}.offset', torch.zeros(o))
        if scale is None or scale.shape != (o, ) or offset.shape != (o, ):
            raise BadHeader(f'{_KEY}: {name} needs {name}.scale, and may have {name}.offset, of shape ({o},)')
        signs = unpack_bits(tensors[name], (o, i, kh, kw))
        state[name] = signs * scale.view(-1, 1, 1, 1) + offset.view(-1, 1, 1, 1)
    return state
