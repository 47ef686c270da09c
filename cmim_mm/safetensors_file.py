"""Reads files in the safetensors format, which hold tensors and nothing else.

Layout: 8 bytes, the length n of the header (little endian); n bytes of JSON, ``{name: {dtype, shape,
data_offsets: [begin, end]}, "__metadata__": {text: text}}``; then the data, to which the offsets refer.
Source: https://huggingface.co/docs/safetensors
"""
import io
import json
import math
from pathlib import Path
from typing import Union

import torch
from torch import Tensor

_DTYPES = {
    'BOOL': torch.bool, 'U8': torch.uint8, 'I8': torch.int8, 'I16': torch.int16, 'I32': torch.int32,
    'I64': torch.int64, 'F16': torch.float16, 'BF16': torch.bfloat16, 'F32': torch.float32,
    'F64': torch.float64}


def is_safetensors(file: Union[str, Path, io.BytesIO]) -> bool:
    """Whether a file begins as this format does: a length, then an opening brace."""
    if isinstance(file, io.BytesIO):
        start = file.getvalue()[:9]
    else:
        with open(file, 'rb') as opened:
            start = opened.read(9)
    return start[8:] == b'{' and start[4:8] == bytes(4)


def read_safetensors(file: Union[str, Path, io.BytesIO]) -> dict[str, Tensor]:
    """Name -> tensor, on the CPU.

    Raises:
        ValueError: The file is cut short, or its header contradicts itself or its data.
        OSError: It cannot be opened.
    """
    data = file.getvalue() if isinstance(file, io.BytesIO) else Path(file).read_bytes()
    begin = 8 + int.from_bytes(data[:8], 'little')
    if begin > len(data):
        raise ValueError(f'the header ends at byte {begin}, the file at {len(data)}')
    header = json.loads(data[8:begin])
    header.pop('__metadata__', None)
    return {name: _tensor(name, entry, memoryview(data)[begin:]) for name, entry in header.items()}


def _tensor(name: str, entry: dict, data: memoryview) -> Tensor:
    dtype, shape, (begin, end) = _DTYPES.get(entry['dtype']), entry['shape'], entry['data_offsets']
    if dtype is None:
        raise ValueError(f"{name} has the dtype {entry['dtype']}, known are {', '.join(_DTYPES)}")
    if not (0 <= begin <= end <= len(data)) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f'{name} of shape {shape} cannot lie in bytes {begin} to {end} of {len(data)}')
    if begin == end:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data[begin:end]), dtype=dtype).reshape(shape)
