"""The file of a packed model: what is written is read, and each broken file is refused by a name."""
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from hostile_files import a_model, hostile_files, sign_again

from cmim_mm.deploy.format import (
    NotPacked,
    WrongChecksum,
    decode,
    encode,
    is_packed,
    pack_bits,
    read,
    unpack_bits,
    write,
)
from cmim_mm.deploy.safe_config import BadConfig
from cmim_mm.safetensors_file import FileRefused

HOSTILE = hostile_files()


def test_reads_what_was_written(tmp_path):
    packed = a_model(test_cfg=dict(scale=(640, 480), list=[1, (2.5, None, True)]), log_level='INFO')
    assert write(packed, tmp_path / 'a.cmim') == (tmp_path / 'a.cmim').stat().st_size
    found = read(tmp_path / 'a.cmim')
    assert (found.config, found.meta, found.bits) == (packed.config, packed.meta, packed.bits)
    assert found.tensors.keys() == packed.tensors.keys()
    for name, tensor in packed.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype and torch.equal(found.tensors[name], tensor)
    assert [p.name for p in tmp_path.iterdir()] == ['a.cmim']


@pytest.mark.parametrize('what', HOSTILE)
def test_a_broken_file_is_refused_by_name(what, tmp_path):
    name, content = HOSTILE[what]
    path = tmp_path / 'model.cmim'
    path.write_bytes(content)
    with pytest.raises(FileRefused) as error:
        read(path)
    assert type(error.value).__name__ == name
    assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)


def test_no_change_goes_unseen():
    """Each byte changed, and each length but the right one, of a small file."""
    good = encode(a_model())
    for i in range(len(good)):
        changed = bytearray(good)
        changed[i] ^= 1 << i % 8
        with pytest.raises(FileRefused):
            decode(bytes(changed))
    for length in range(0, len(good), 7):
        with pytest.raises(FileRefused):
            decode(good[:length])


def test_changes_with_the_right_checksum_are_read_or_refused():
    """What an attacker can write ends in a model of data, or in a refusal: never in another error."""
    good, source = encode(a_model()), random.Random(0)
    outcomes = {True: 0, False: 0}
    for _ in range(3000):
        changed = bytearray(good)
        for _ in range(source.randint(1, 3)):
            place = source.randrange(len(good) - 32)
            changed[place] = source.choice((source.randrange(256), *b'0123456789{}[],:"-eE.tfn'))
        if source.random() < 0.1:
            del changed[source.randrange(len(changed)):]
        try:
            decode(sign_again(bytes(changed)))
            outcomes[True] += 1
        except FileRefused:
            outcomes[False] += 1
    assert min(outcomes.values()) > 100


def test_what_is_no_data_is_not_written(tmp_path):
    for value in (torch.nn.ReLU, lambda x: x, float('nan'), np.float32(1)):
        with pytest.raises(BadConfig, match=r'config\.model\.act\[0\]'):
            write(a_model(model=dict(type='cmim_mm.BinaryResNet', act=[value])), tmp_path / 'a.cmim')
    assert not list(tmp_path.iterdir())


def test_order_of_the_bits():
    sign = torch.randn(3, 5, 2, 3).sign()
    data = pack_bits(sign)
    bits = np.unpackbits(data.numpy(), bitorder='little')
    assert bits.size == 96 and not bits[90:].any()
    np.testing.assert_array_equal(bits[:90].reshape(3, 2, 3, 5).transpose(0, 3, 1, 2) * 2.0 - 1, sign)
    assert torch.equal(unpack_bits(data, sign.shape), sign.to(torch.int8))


def test_packed_files_are_told_apart(tmp_path):
    path = tmp_path / 'a'
    for content, expected in ((encode(a_model()), True), (b'', False), (HOSTILE['version 2'][1], True),
                              (HOSTILE['a changed weight'][1], True), (HOSTILE['no JSON'][1], False),
                              (HOSTILE['safetensors of others'][1], False)):
        path.write_bytes(content)
        assert is_packed(path) is expected
    assert not is_packed(tmp_path) and not is_packed(tmp_path / 'missing')
    with pytest.raises(WrongChecksum, match='is damaged'):
        decode(HOSTILE['a changed weight'][1])
    with pytest.raises(NotPacked, match=r'tools/pack\.py'):
        decode(b'{}')


def test_fuzzing_finds_nothing(repository, tmp_path):
    pytest.importorskip('atheris')
    folder = repository / 'tests/fuzz'
    command = [sys.executable, folder / 'fuzz_packed_format.py', tmp_path, folder / 'corpus']
    done = subprocess.run(
        [*command, '-runs=3000', '-seed=1'], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and 'Done 3000 runs' in done.stderr, done.stderr[-2000:]
