"""Fuzz target of the reader of packed models: any bytes are a model or refused, and nothing else happens.

    pip install atheris
    mkdir found && python tests/fuzz/fuzz_packed_format.py found tests/fuzz/corpus -max_total_time=600

Each input is read as it is, and with the checksum that its bytes need, which no mutation finds by itself.
"""
import contextlib
import hashlib
import sys

import atheris

with atheris.instrument_imports(include=['cmim_mm.deploy.format', 'cmim_mm.deploy.safe_config',
                                         'cmim_mm.safetensors_file']):
    from cmim_mm.deploy.format import decode
    from cmim_mm.safetensors_file import FileRefused


def read_any(data: bytes) -> None:
    for content in (data, data[:-32] + hashlib.sha256(data[:-32]).digest()):
        with contextlib.suppress(FileRefused):
            decode(content)


if __name__ == '__main__':
    atheris.Setup(sys.argv, read_any)
    atheris.Fuzz()
