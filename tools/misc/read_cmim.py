"""Reads a packed model with numpy alone: what docs/deploy.md says of the format, as a program.

    python tools/misc/read_cmim.py MODEL.cmim
"""
import hashlib
import json
import sys

import numpy as np

DTYPES = {'F32': '<f4', 'F16': '<f2', 'I32': '<i4', 'U8': 'u1', 'BOOL': '?'}


def read(path):
    """(config, meta, arrays): arrays by their names; those of bits as -1 and +1, (O, kh, kw, I)."""
    with open(path, 'rb') as file:
        data = file.read()
    begin = 8 + int.from_bytes(data[:8], 'little')
    header = json.loads(data[8:begin])
    metadata = header.pop('__metadata__')
    if (metadata['format'], metadata['version']) != ('cmim', '1'):
        raise ValueError(f'{path}: no packed model of version 1')
    if hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise ValueError(f'{path}: damaged')
    del header['sha256']
    shapes, arrays = json.loads(metadata['bits']), {}
    for name, entry in header.items():
        first, end = (begin + offset for offset in entry['data_offsets'])
        array = np.frombuffer(data[first:end], DTYPES[entry['dtype']]).reshape(entry['shape'])
        if name in shapes:
            bits = np.unpackbits(array, count=np.prod(shapes[name]), bitorder='little')
            array = bits.reshape(shapes[name]).astype(np.int8) * 2 - 1
        arrays[name] = array
    return (*(plain(json.loads(metadata[key])) for key in ('config', 'meta')), arrays)


def plain(value):
    """JSON with tuples where they were."""
    if isinstance(value, dict):
        return tuple(map(plain, value['$tuple'])) if '$tuple' in value else {
            key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


if __name__ == '__main__':
    config, meta, arrays = read(sys.argv[1])
    print(json.dumps(config['model'], indent=2), *meta, sep='\n')
    for name, array in arrays.items():
        print(f'{name:60} {array.dtype!s:8} {array.shape}')
