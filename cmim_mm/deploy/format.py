"""The file of a packed model, MODEL.cmim: tensors, weights as bits, and a config that is data.

It is a safetensors file (``safetensors_file.py``). Its metadata are texts:

- ``format``: ``cmim``; ``version``: ``1``.
- ``config``: JSON, what the model was built from; a tuple is written ``{"$tuple": [...]}``.
- ``meta``: JSON, names of classes and the like.
- ``bits``: JSON, {name: [O, kh, kw, I]}. These tensors are uint8 and hold one bit a weight, 1 for +1 and 0
  for -1, in the order of that shape, eight to a byte, the first in the lowest place; bits that fill up the
  last byte are 0.

The last tensor, ``sha256``, is the digest of all bytes of the file before it, header included.
``docs/deploy.md`` names the tensors of each layer and what is computed with them.
"""
import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any, NamedTuple, Union

import torch
from torch import Tensor

from cmim_mm.atomic import write_atomically
from cmim_mm.safetensors_file import (
    BadHeader,
    FileRefused,
    is_safetensors,
    load_json,
    parse,
    read_metadata,
    to_bytes,
)

from .safe_config import as_data, check_config, from_data

FORMAT, VERSION = 'cmim', 1
_METADATA = {'format', 'version', 'config', 'meta', 'bits'}
_DIGEST = 32


class NotPacked(FileRefused):
    """The file is no packed model."""


class NewerVersion(FileRefused):
    """The file has a version that this program does not know."""


class WrongChecksum(FileRefused):
    """The file is not what was written."""


class BadBits(FileRefused):
    """The bits do not fit the tensors."""


class Packed(NamedTuple):
    """What a file holds.

    Attributes:
        config: Keys of an MMEngine config (``safe_config.KEYS``), plain data.
        meta: ``dataset_meta`` and where the model comes from, plain data.
        tensors: State of the packed model; a name in ``bits`` is uint8, eight weights a byte.
        bits: Name -> (O, kh, kw, I) of the tensors of bits.
    """
    config: dict[str, Any]
    meta: dict[str, Any]
    tensors: dict[str, Tensor]
    bits: dict[str, tuple[int, ...]]


def encode(packed: Packed) -> bytes:
    """A file's content."""
    metadata = {'format': FORMAT, 'version': str(VERSION), 'config': json.dumps(as_data(packed.config)),
                'meta': json.dumps(as_data(packed.meta)),
                'bits': json.dumps({name: list(shape) for name, shape in packed.bits.items()})}
    unsigned = to_bytes({**packed.tensors, 'sha256': torch.zeros(_DIGEST, dtype=torch.uint8)}, metadata)
    return unsigned[:-_DIGEST] + hashlib.sha256(unsigned[:-_DIGEST]).digest()


def decode(data: bytes) -> Packed:
    """The model in a file's content.

    Raises:
        FileRefused: It is none, of a newer version, or damaged; each case has a class of its own, here, in
            ``safe_config.py`` and in ``safetensors_file.py``.
    """
    if data[4:9] != b'\0\0\0\0{':
        raise NotPacked('is no packed model; tools/pack.py makes one of a checkpoint')
    tensors, metadata = parse(data)
    if metadata.get('format') != FORMAT:
        raise NotPacked('is a safetensors file, but no packed model; tools/pack.py makes one of a checkpoint')
    version = metadata.get('version', '')
    if version != str(VERSION):
        if version.isdecimal() and int(version) > VERSION:
            raise NewerVersion(f'has version {version} of the format, known is {VERSION}. Install a newer '
                               'cmim_mm')
        raise BadHeader(f'has version {version!r} of the format, known is {VERSION}')
    if metadata.keys() != _METADATA:
        raise BadHeader(f'has the metadata {", ".join(sorted(metadata))}; expected are '
                        f'{", ".join(sorted(_METADATA))}')
    digest = tensors.pop('sha256', None)
    found = hashlib.sha256(data[:-_DIGEST]).digest()
    if digest is None or data[-_DIGEST:] != found or bytes(digest.tolist()) != found:
        raise WrongChecksum('is damaged: its SHA-256 is not the one that was written. Get the file again')
    config, meta, bits = (load_json(metadata[key]) for key in ('config', 'meta', 'bits'))
    for name, value in (('config', config), ('meta', meta), ('bits', bits)):
        if not isinstance(value, dict):
            raise BadHeader(f'{name} must be a JSON object')
    return Packed(check_config(config), from_data(meta), tensors, check_bits(bits, tensors))


def write(packed: Packed, path: Union[str, Path]) -> int:
    """Writes a file, whole or not at all; returns its size in bytes.

    Raises:
        OSError: It cannot be written.
    """
    data = encode(packed)
    write_atomically(data, path)
    return len(data)


def read(file: Union[str, Path, io.BytesIO], name: str = '') -> Packed:
    """Reads a file.

    Args:
        file: Path, or buffer of the file's bytes.
        name: How to call it in errors; the path by default.

    Raises:
        FileRefused: As :func:`decode`; the message begins with the name.
        OSError: It cannot be opened.
    """
    try:
        return decode(file.getvalue() if isinstance(file, io.BytesIO) else Path(file).read_bytes())
    except FileRefused as error:
        raise type(error)(f'{name or file}: {error}') from error


def is_packed(file: Union[str, Path, io.BytesIO]) -> bool:
    """Whether a file says that it is a packed model (of any version); reads no more than its header."""
    if not isinstance(file, io.BytesIO) and not Path(file).is_file():
        return False
    return is_safetensors(file) and read_metadata(file).get('format') == FORMAT


def pack_bits(sign: Tensor) -> Tensor:
    """Signs (O, I, kh, kw) -> ceil(O I kh kw / 8) bytes, in the format's order."""
    bits = (sign.detach().cpu() > 0).permute(0, 2, 3, 1).reshape(-1)
    bits = torch.nn.functional.pad(bits, (0, -len(bits) % 8)).view(-1, 8).to(torch.uint8)
    return (bits << torch.arange(8, dtype=torch.uint8)).sum(1, dtype=torch.uint8)


def unpack_bits(data: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Bytes in the format's order -> signs (O, I, kh, kw), int8, -1 and +1.

    Args:
        data: uint8.
        shape: (O, I, kh, kw).
    """
    o, i, kh, kw = shape
    bits = (data.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8, device=data.device)) & 1
    bits = bits.reshape(-1)[:math.prod(shape)].view(o, kh, kw, i)
    return bits.permute(0, 3, 1, 2).to(torch.int8).mul_(2).sub_(1)


def check_bits(bits: dict[str, Any], tensors: dict[str, Tensor],
               key: str = 'bits') -> dict[str, tuple[int, ...]]:
    """The shapes (O, kh, kw, I) of tensors of bits, as the header says them.

    Raises:
        BadBits: One is no such shape, or its tensor does not hold as many bits.
    """
    for name, shape in bits.items():
        if not (isinstance(shape, list) and len(shape) == 4
                and all(type(size) is int and size > 0 for size in shape)):
            raise BadBits(f'{key}: {name} has the shape {shape}, expected [O, kh, kw, I]')
        data, number = tensors.get(name), math.prod(shape)
        if data is None or data.dtype != torch.uint8 or data.shape != (-(-number // 8), ):
            raise BadBits(f'{key}: there are no {-(-number // 8)} bytes called {name}')
        if number % 8 and int(data[-1]) >> number % 8:
            raise BadBits(f'{key}: {name} has bits beyond its shape {shape}')
    return {name: tuple(shape) for name, shape in bits.items()}

