"""Plain values and arrays are read; code is refused and not run."""
import os
import pickle

import numpy as np
import pytest
import torch

from cmim_mm.datasets.layout import DataError
from cmim_mm.datasets.plain_pickle import read_plain_pickle


class Payload:
    """Calls ``function(argument)`` when it is unpickled."""

    def __init__(self, function, argument):
        self.call = function, (argument, )

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('protocol', range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_values_and_arrays_of_any_protocol(tmp_path, protocol):
    path = tmp_path / 'file'
    content = {b'data': np.arange(12, dtype=np.uint8).reshape(3, 4), 'big': np.arange(3, dtype='>i4'),
               'fortran': np.asfortranarray(np.eye(2, 3)), 'tuple': (1, ),
               'list': [1, 2.5, 'text', b'bytes', None, True]}
    path.write_bytes(pickle.dumps(content, protocol))
    read = read_plain_pickle(str(path))
    assert set(read) == {'data', 'fortran', 'big', 'list', 'tuple'}
    np.testing.assert_array_equal(read['data'], content[b'data'])
    assert read['data'].dtype == np.uint8
    np.testing.assert_array_equal(read['fortran'], content['fortran'])
    np.testing.assert_array_equal(read['big'], [0, 1, 2])
    assert read['list'] == [1, 2.5, 'text', 'bytes', None, True] and read['tuple'] == [1]


def test_what_python_2_wrote(tmp_path):
    """Opcodes of the published files: 8-bit strings, and numpy under the names of its first version."""
    path = tmp_path / 'file'
    path.write_bytes(
        b'\x80\x02}q\x01U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85'
        b'U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff'
        b'\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x01\x02\x03\xfe\xfftbs.')
    np.testing.assert_array_equal(read_plain_pickle(str(path))['data'], [[0, 1, 2], [3, 254, 255]])


@pytest.mark.parametrize('protocol', [0, 2, 4])
@pytest.mark.parametrize('function', [os.system, eval, getattr, torch.load, np.load])
def test_code_is_refused_and_not_run(tmp_path, protocol, function):
    path, marker = tmp_path / 'file', tmp_path / 'marker'
    argument = f'touch {marker}' if function is os.system else f'open({str(marker)!r}, "w")'
    path.write_bytes(pickle.dumps({b'data': Payload(function, argument)}, protocol))
    name = function.__name__
    with pytest.raises(DataError, match=f'file: refused, it holds .*{name}.*Nothing of it was run'):
        read_plain_pickle(str(path))
    assert not marker.exists()


@pytest.mark.parametrize('value', [np.array(['a', None], object), np.zeros(2, 'c8'), {1, 2}, 1j])
def test_other_values_are_refused(tmp_path, value):
    path = tmp_path / 'file'
    path.write_bytes(pickle.dumps({'data': value}))
    with pytest.raises(DataError, match='file: '):
        read_plain_pickle(str(path))


def test_damage_names_the_file(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(pickle.dumps({'data': np.zeros(100)})[:-50])
    with pytest.raises(DataError, match='file: .*'):
        read_plain_pickle(str(path))
