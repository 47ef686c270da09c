"""The safetensors format: what is read, and that a broken file is an error by name."""
import io
import json

import pytest
import torch
from test_checkpoint_forms import safetensors_bytes

from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.safetensors_file import is_safetensors, read_safetensors

STATE = {'f32': torch.randn(2, 3), 'f16': torch.randn(3).half(), 'bf16': torch.randn(5).bfloat16(),
         'f64': torch.randn(1, 1).double(), 'i64': torch.tensor(7), 'u8': torch.arange(3, dtype=torch.uint8),
         'bool': torch.tensor([True, False, True]), 'none': torch.ones(0, 4)}


def test_reads_what_was_written():
    read, _ = read_safetensors(io.BytesIO(safetensors_bytes(STATE)))
    assert read.keys() == STATE.keys()
    for name, value in STATE.items():
        assert read[name].dtype == value.dtype and torch.equal(read[name], value), name
    read['f32'].add_(1)  # is its own memory


@pytest.mark.parametrize('save', [
    lambda path: torch.save(STATE, path),
    lambda path: torch.save(STATE, path, _use_new_zipfile_serialization=False),
    lambda path: path.write_bytes(b''), lambda path: path.write_text('{"json": 1}')])
def test_other_files_are_told_apart(save, tmp_path):
    save(tmp_path / 'file')
    assert not is_safetensors(tmp_path / 'file')


def with_header(change):
    data = safetensors_bytes({'a': torch.ones(2)})
    begin = 8 + int.from_bytes(data[:8], 'little')
    header = json.loads(data[8:begin])
    change(header['a'])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + data[begin:]


@pytest.mark.parametrize('content, message', [
    (safetensors_bytes({'a': torch.ones(9)})[:-1], r'a of shape \[9\] cannot lie in bytes 0 to 36 of 35'),
    (safetensors_bytes({'a': torch.ones(9)})[:40], 'the header ends at byte'),
    (with_header(lambda a: a.update(shape=[3])), r'a of shape \[3\] cannot lie'),
    (with_header(lambda a: a.update(data_offsets=[-8, 0])), 'cannot lie'),
    (with_header(lambda a: a.update(data_offsets=[4, 12])), 'cannot lie'),
    (with_header(lambda a: a.update(dtype='F4')), 'dtype F4, known are'),
    (b'\x02' + bytes(7) + b'{]', 'BadHeader: no JSON')])
def test_a_broken_file_is_an_error_with_its_name(content, message, tmp_path):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint_file(path)
    assert str(path) in str(error.value)


def test_goes_to_the_device_that_was_asked_for(tmp_path):
    (tmp_path / 'a').write_bytes(safetensors_bytes({'a': torch.ones(2)}))
    assert load_checkpoint_file(tmp_path / 'a', map_location='meta')['state_dict']['a'].is_meta
