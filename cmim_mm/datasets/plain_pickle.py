"""Reads plain values and arrays from a pickle without executing anything that it holds.

A pickle names functions, and an ordinary reader calls them. This one knows a
handful of names, those that arrays of numbers need, and answers with stand-ins
that only take notes: no function that a file names is looked up, let alone
called. Every other name ends the reading.
"""
import pickle
from typing import Any

import numpy as np

from .layout import DataError

_NUMBERS = {c: np.dtype(c) for c in ('b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f4', 'f8')}
_MULTIARRAY = ('numpy.core.multiarray', 'numpy._core.multiarray')
_NUMERIC = ('numpy.core.numeric', 'numpy._core.numeric')


class _Dtype:
    """Notes of a ``numpy.dtype``: its code and byte order."""

    def __init__(self, code: Any, align: bool = False, copy: bool = False) -> None:
        self.code = code.decode('latin1') if isinstance(code, bytes) else code
        self.order = '<'

    def __setstate__(self, state: tuple) -> None:
        order = state[1].decode('latin1') if isinstance(state[1], bytes) else state[1]
        self.order = '>' if order == '>' else '<'

    def read(self) -> np.dtype:
        if self.code not in _NUMBERS:
            raise pickle.UnpicklingError(f'an array of type {self.code!r}')
        return _NUMBERS[self.code].newbyteorder(self.order)


class _Array:
    """Notes of an array: its shape, type, order and bytes."""
    notes: tuple

    def __init__(self, *ignored: Any) -> None:
        pass

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self.notes = shape, dtype, 'F' if fortran else 'C', data

    def read(self) -> np.ndarray:
        shape, dtype, order, data = self.notes
        data = data.encode('latin1') if isinstance(data, str) else bytes(data)
        return np.frombuffer(data, dtype.read()).reshape(shape, order=order)


def _from_buffer(data: Any, dtype: _Dtype, shape: tuple, order: str) -> _Array:
    array = _Array()
    array.notes = shape, dtype, order, data
    return array


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for Python 2 (``_codecs.encode``)."""
    return text.encode('latin1')


_STAND_INS = {('numpy', 'ndarray'): _Array, ('numpy', 'dtype'): _Dtype, ('_codecs', 'encode'): _encode,
              **{(module, '_reconstruct'): _Array for module in _MULTIARRAY},
              **{(module, '_frombuffer'): _from_buffer for module in _NUMERIC}}


class _Reader(pickle.Unpickler):

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"'{module}.{name}'")
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError('a reference to another file')


def _plain(value: Any) -> Any:
    """``value`` with arrays for notes, and text for the bytes that Python 2 called text."""
    if isinstance(value, _Array):
        return value.read()
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, bytes):
        return value.decode('latin1')
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise pickle.UnpicklingError(f'a {type(value).__name__}')


def read_plain_pickle(path: str) -> Any:
    """Reads a pickle of dicts, lists, numbers, texts and arrays of numbers, by Python 2 or 3.

    Args:
        path: The file.

    Returns:
        Its content; tuples become lists, byte strings texts (latin1).

    Raises:
        DataError: It names anything else (nothing of that is run), or is damaged.
        FileNotFoundError: There is no such file.
    """
    with open(path, 'rb') as file:
        try:
            return _plain(_Reader(file, encoding='bytes').load())
        except pickle.UnpicklingError as error:
            raise DataError(f'{path}: refused, it holds {error}; only numbers, texts and arrays of numbers '
                            'are read. Nothing of it was run. Get the file from its authors') from error
        except Exception as error:  # a damaged file can raise nearly anything
            raise DataError(f'{path}: cannot be read ({type(error).__name__}: {error}). It may be cut short: '
                            'unpack or download it again') from error
