"""The reader of checkpoints: takes data, refuses code, names what it cannot read."""
import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_checkpoint import Payload
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint
from torch import nn

from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file

FORMATS = {
    'zip': torch.save,
    'legacy': partial(torch.save, _use_new_zipfile_serialization=False),
    'pickle 2': lambda obj, path: Path(path).write_bytes(pickle.dumps(obj, 2)),
    'pickle 4': lambda obj, path: Path(path).write_bytes(pickle.dumps(obj)),
}
DAMAGE = {
    'half': lambda whole: whole[:len(whole) // 2],
    'head': lambda whole: whole[:10],
    'empty': lambda whole: b'',
    'text': lambda whole: b'hello world',
    'page': lambda whole: b'<html>404</html>',
    'bytes': lambda whole: bytes(range(256)),
}


@pytest.mark.parametrize('unsafe', ['0', '1'])
@pytest.mark.parametrize('function', [os.system, eval, exec], ids=lambda function: function.__name__)
@pytest.mark.parametrize('save', FORMATS)
def test_no_format_and_no_function_gets_through(save, function, unsafe, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', unsafe)
    path, marker = tmp_path / 'hostile.pth', tmp_path / 'marker'
    FORMATS[save]({'state_dict': {}, 'message_hub': Payload(marker, function)}, path)
    with pytest.raises(CheckpointError, match='hostile.pth'):
        load_checkpoint_file(path)
    assert not marker.exists()


@pytest.mark.parametrize('value', [
    partial(print, 'x'), np.array([object()]), np.dtype([('a', 'O')]), getattr, nn.Linear(1, 1), Path('x')],
    ids=['partial', 'object array', 'record dtype', 'getattr', 'module', 'path'])
def test_nothing_beyond_the_allow_list(value, tmp_path):
    torch.save({'state_dict': {}, 'meta': value}, tmp_path / 'x.pth')
    if value is getattr:  # read as the narrow stand-in, which answers for HistoryBuffer alone
        stand_in = load_checkpoint_file(tmp_path / 'x.pth')['meta']
        with pytest.raises(pickle.UnpicklingError, match='getattr'):
            stand_in(os, 'system')
    else:
        with pytest.raises(CheckpointError, match='refused'):
            load_checkpoint_file(tmp_path / 'x.pth')


def test_a_dtype_of_a_checkpoint_cannot_be_changed_by_it(tmp_path):
    """Flags that say 'holds objects' on a float array would make numpy follow numbers as pointers."""
    class Corrupt:
        def __reduce__(self):
            return np.dtype, ('f8', False, True), (3, '|', None, None, None, 8, 8, 63)

    torch.save({'meta': Corrupt()}, tmp_path / 'x.pth')
    assert load_checkpoint_file(tmp_path / 'x.pth')['meta'].flags == np.dtype('f8').flags == 0


def test_what_mmengine_saves_is_read_back(tmp_path):
    saved = {'state_dict': {'w': torch.arange(3)},
             'message_hub': {'log_scalars': {'loss': HistoryBuffer([1., 3.], [1, 1])}},
             'meta': {'scores': {'mIoU': np.float32(0.5), 'ok': np.bool_(True), 'counts': np.arange(4)}}}
    torch.save(saved, tmp_path / 'x.pth')
    read = load_checkpoint_file(tmp_path / 'x.pth')
    history = read['message_hub']['log_scalars']['loss']
    assert (history.mean(), history.current(), history.statistics('max')) == (2, 3, 3)
    assert read['meta']['scores']['mIoU'] == 0.5 and read['meta']['scores']['counts'].tolist() == [0, 1, 2, 3]
    torch.save(torch.ones(2), tmp_path / 'embedding.pth')
    assert load_checkpoint_file(tmp_path / 'embedding.pth').tolist() == [1, 1]


@pytest.mark.parametrize('damage', DAMAGE)
def test_damaged_file_is_named(damage, tmp_path):
    path = tmp_path / 'damaged.pth'
    torch.save({'state_dict': {'w': torch.rand(100)}}, path)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(CheckpointError, match='damaged.pth: cannot be read as a checkpoint .*save it again'):
        load_checkpoint(nn.Linear(2, 1), str(path))


def test_wrong_content_and_absent_file_are_named(tmp_path):
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(CheckpointError, match='list.pth: holds a list'):
        load_checkpoint(nn.Linear(2, 1), str(tmp_path / 'list.pth'))
    with pytest.raises(FileNotFoundError, match='absent.pth: there is no such checkpoint'):
        load_checkpoint(nn.Linear(2, 1), str(tmp_path / 'absent.pth'))
