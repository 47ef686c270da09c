"""tools/misc/read_cmim.py: numpy alone reads what the package writes, and computes a layer by the docs."""
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from cmim_mm.deploy import load, pack, write
from cmim_mm.deploy.format import read
from cmim_mm.deploy.packing import build

MODEL = dict(type='cmim_mm.BinaryResNet', depth=20, binarizer='AdaBin', out_indices=(2, ))


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('cmim') / 'model.cmim'
    config = dict(model=MODEL)
    model = build(config)
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.1
    write(pack(model, config, dict(dataset_meta=dict(classes=('a', 'b'))), half=True), path)
    return path


@pytest.fixture(scope='module')
def reader(tool):
    return tool('misc/read_cmim.py')


def test_reads_the_same(reader, file, repository):
    config, meta, arrays = reader.read(file)
    packed = read(file)
    assert config == packed.config and meta == packed.meta and arrays.keys() == packed.tensors.keys()
    layers = {name: m for name, m in load(file).named_modules() if f'{name}.bits' in packed.bits}
    assert len(layers) == 18
    for name, array in arrays.items():
        if name in packed.bits:
            signs = layers[name.rpartition('.')[0]].signs().permute(0, 2, 3, 1)
            np.testing.assert_array_equal(array, signs)
        else:
            np.testing.assert_array_equal(array, packed.tensors[name])
    lines = (repository / 'tools/misc/read_cmim.py').read_text().splitlines()
    assert len(lines) <= 60
    imported = {line.split()[1] for line in lines if line.startswith(('import ', 'from '))}
    assert imported == {'hashlib', 'json', 'sys', 'numpy'}


def test_a_layer_by_the_formulas_of_the_docs(reader, file):
    """One output pixel at a corner, where taps lie outside the image."""
    _, _, arrays = reader.read(file)
    layer = 'layer1.1.conv1'
    part = {key: arrays[f'{layer}.{key}'].astype(np.float64) for key in (
        'bits', 'scale', 'offset', 'window', 'level', 'threshold', 'positive', 'negative')}
    x = np.random.default_rng(0).normal(size=(16, 4, 5)).astype(np.float32)
    shortcut = np.random.default_rng(1).normal(size=(16, )).astype(np.float32)
    v = part['offset'] + shortcut
    for kh in range(3):
        for kw in range(3):
            row, column = kh - 1, kw - 1
            if row >= 0 and column >= 0:
                b = np.where(x[:, row, column] >= part['threshold'], 1, -1)
                signs = part['bits'][:, kh, kw]
                v += part['scale'] * (signs @ b) + part['window'] * b.sum()
                v += part['level'] * (part['scale'] * signs.sum(1) + part['window'] * signs.shape[1])
    y = v * np.where(v > 0, part['positive'], part['negative'])
    module = load(file).get_submodule(layer)
    full = torch.from_numpy(shortcut).view(1, 16, 1, 1).expand(1, 16, 4, 5)
    found = module(torch.from_numpy(x)[None], full)[0, :, 0, 0]
    np.testing.assert_allclose(found, y, rtol=1e-4, atol=1e-4)


def test_damage_is_seen(reader, file, tmp_path):
    data = bytearray(file.read_bytes())
    data[-100] ^= 4
    (tmp_path / 'a.cmim').write_bytes(data)
    with pytest.raises(ValueError, match='damaged'):
        reader.read(tmp_path / 'a.cmim')


def test_runs_as_a_program(file, repository):
    done = subprocess.run([sys.executable, repository / 'tools/misc/read_cmim.py', file], capture_output=True,
                          text=True, check=True)
    assert 'layer1.0.conv1.bits' in done.stdout and '"AdaBin"' in done.stdout
