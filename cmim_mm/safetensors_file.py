"""Files in the safetensors format, which hold tensors and text and nothing else.

Layout: 8 bytes, the length n of the header (little endian); n bytes of JSON, ``{name: {dtype, shape,
data_offsets: [begin, end]}, "__metadata__": {text: text}}``; then the data, to which the offsets refer. The
tensors cover the data without a hole or an overlap, so that no byte can hide.
Source: https://huggingface.co/docs/safetensors
"""
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Optional, Union

import torch
from torch import Tensor

_DTYPES = {
    'BOOL': torch.bool, 'U8': torch.uint8, 'I8': torch.int8, 'I16': torch.int16, 'I32': torch.int32,
    'I64': torch.int64, 'F16': torch.float16, 'BF16': torch.bfloat16, 'F32': torch.float32,
    'F64': torch.float64}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_METADATA = '__metadata__'
_LARGEST_HEADER = 100_000_000
_LARGEST_SIZE = 2**63 - 1


class FileRefused(ValueError):
    """A file breaks its format; nothing of it was used."""


class Truncated(FileRefused):
    """The file ends before what its header announces."""


class TrailingBytes(FileRefused):
    """Bytes follow the last tensor."""


class BadHeader(FileRefused):
    """The header is no JSON, or not of the form that the format asks for."""


class DuplicateKey(BadHeader):
    """The header has a key twice, of which readers would take different ones."""


class UnknownDtype(BadHeader):
    """A tensor has a type that the format does not have."""


class BadShape(BadHeader):
    """A shape holds something else than sizes, or more bytes than 63 bits can count."""


class BadRange(FileRefused):
    """A tensor's bytes do not fit its shape, overlap another's, or leave a hole."""


def is_safetensors(file: Union[str, Path, io.BytesIO]) -> bool:
    """Whether a file begins as this format does: a length, then an opening brace."""
    if isinstance(file, io.BytesIO):
        start = file.getvalue()[:9]
    else:
        with open(file, 'rb') as opened:
            start = opened.read(9)
    return start[8:] == b'{' and start[4:8] == bytes(4)


def read_safetensors(file: Union[str, Path, io.BytesIO]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Name -> tensor, on the CPU, and the metadata.

    Raises:
        FileRefused: As :func:`parse`.
        OSError: It cannot be opened.
    """
    return parse(file.getvalue() if isinstance(file, io.BytesIO) else Path(file).read_bytes())


def read_metadata(file: Union[str, Path, io.BytesIO]) -> dict[str, str]:
    """What a file says of itself; reads no more than its header, and gives {} where that cannot be read."""
    if isinstance(file, io.BytesIO):
        data = file.getvalue()
    else:
        with open(file, 'rb') as opened:
            start = opened.read(8)
            data = start + opened.read(min(int.from_bytes(start, 'little'), _LARGEST_HEADER))
    try:
        metadata = _header(data)[0].get(_METADATA)
    except FileRefused:
        return {}
    return metadata if isinstance(metadata, dict) else {}


def parse(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by their names, each in memory of its own, and the metadata.

    Raises:
        FileRefused: The data are cut short or too long, or the header contradicts itself or its data; each
            case has a class of its own.
    """
    header, begin = _header(data)
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise BadHeader(f'{_METADATA} must map text to text')
    data = memoryview(data)[begin:]
    ranges = {name: _range(name, entry, len(data)) for name, entry in header.items()}
    reached = 0
    for name, (start, end) in sorted(ranges.items(), key=lambda item: item[1]):
        if start != reached:
            raise BadRange(f'{name} begins at byte {start} of the data, expected {reached}: tensors must lie '
                           'one behind the other')
        reached = end
    if reached != len(data):
        raise TrailingBytes(f'{len(data) - reached} bytes follow the last tensor')
    tensors = {}
    for name, (start, end) in ranges.items():
        dtype, shape = _DTYPES[header[name]['dtype']], header[name]['shape']
        tensors[name] = torch.empty(shape, dtype=dtype) if start == end else torch.frombuffer(
            bytearray(data[start:end]), dtype=dtype).reshape(shape)
    return tensors, metadata


def to_bytes(tensors: Mapping[str, Tensor], metadata: Optional[Mapping[str, str]] = None) -> bytes:
    """A file's content. The widest types come first, and the header is filled up with spaces to a multiple
    of 8 bytes, so that each tensor lies where its type can be read in place."""
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    pieces, reached = [], 0
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        piece = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {'dtype': _CODES[tensor.dtype], 'shape': list(tensor.shape),
                        'data_offsets': [reached, reached + len(piece)]}
        reached += len(piece)
        pieces.append(piece)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return b''.join([len(text).to_bytes(8, 'little'), text, *pieces])


def load_json(text: Union[str, bytes]) -> Any:
    """JSON without what readers take differently: keys twice, NaN, infinities.

    Raises:
        BadHeader: It is something else.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except FileRefused:
        raise
    except (ValueError, RecursionError) as error:
        raise BadHeader(f'no JSON ({type(error).__name__}: {error})') from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DuplicateKey(f'the key {key!r} stands there twice')
        found[key] = value
    return found


def _no_number(name: str) -> NoReturn:
    raise BadHeader(f'{name} is no number of JSON')


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where the data begin."""
    if len(data) < 8:
        raise Truncated(f'{len(data)} bytes, expected 8 with the length of the header')
    begin = 8 + int.from_bytes(data[:8], 'little')
    if begin - 8 > _LARGEST_HEADER:
        raise BadHeader(f'the header takes {begin - 8} bytes, at most {_LARGEST_HEADER} are expected')
    if begin > len(data):
        raise Truncated(f'the header ends at byte {begin}, the file at {len(data)}')
    header = load_json(data[8:begin])
    if not isinstance(header, dict):
        raise BadHeader('the header must be a JSON object')
    return header, begin


def _range(name: str, entry: Any, available: int) -> tuple[int, int]:
    if not isinstance(entry, dict) or entry.keys() != {'dtype', 'shape', 'data_offsets'}:
        raise BadHeader(f'{name} must have dtype, shape and data_offsets, and nothing else')
    if not isinstance(entry['dtype'], str) or entry['dtype'] not in _DTYPES:
        raise UnknownDtype(f"{name} has the dtype {entry['dtype']}, known are {', '.join(_DTYPES)}")
    shape, offsets = entry['shape'], entry['data_offsets']
    if not _are_sizes(shape):
        raise BadShape(f'{name} has the shape {shape}, expected a list of sizes')
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise BadRange(f'{name} cannot lie in bytes {offsets}: expected a begin and an end')
    (begin, end), size = offsets, math.prod(shape) * _DTYPES[entry['dtype']].itemsize
    if size > _LARGEST_SIZE or max(shape, default=0) > _LARGEST_SIZE:
        raise BadShape(f'{name} has the shape {shape}, more than 63 bits can count')
    if end > available:
        raise Truncated(f'{name} of shape {shape} cannot lie in bytes {begin} to {end} of {available}')
    if end - begin != size:
        raise BadRange(f'{name} of shape {shape} cannot lie in bytes {begin} to {end} of {available}')
    return begin, end


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)
