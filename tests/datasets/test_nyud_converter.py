"""The converter of the official NYUD-v2 file."""
import builtins
import json
import os
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from cmim_mm.atomic import PARTIAL
from cmim_mm.datasets import NYUDDepthDataset, NYUDSegDataset, nyud_converter
from cmim_mm.datasets.check import check_folder
from cmim_mm.datasets.nyud_converter import ConversionError, convert
from cmim_mm.datasets.nyud_meta import MAP_894_TO_40, SPLIT


def content(frames=12, height=9, width=14):
    """Arrays as the official file holds them: axes (N, [3], W, H)."""
    rng = np.random.default_rng(frames)
    depths = rng.uniform(0.5, 9.9, (frames, width, height)).astype(np.float32)
    return dict(
        images=rng.integers(0, 256, (frames, 3, width, height), dtype=np.uint8),
        labels=rng.integers(0, 895, (frames, width, height), dtype=np.uint16),
        depths=depths, rawDepths=np.where(rng.random(depths.shape) < 0.3, 0, depths).astype(np.float32))


def write_mat(path, arrays, chunk_frames=1):
    with h5py.File(path, 'w', userblock_size=512) as f:
        for key, array in arrays.items():
            chunks = (chunk_frames, *array.shape[1:]) if chunk_frames else None
            f.create_dataset(key, data=array, chunks=chunks, compression='gzip' if chunks else None)
    with open(path, 'r+b') as f:
        f.write(b'MATLAB 7.3 MAT-file, Platform: GLNXA64'.ljust(116) + bytes(8) + b'\x00\x02IM')
    return str(path)


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / 'out')


@pytest.fixture
def mat(tmp_path):
    return write_mat(tmp_path / 'nyu.mat', content())


def read(out, name, n):
    return cv2.imread(f'{out}/{name}/{n:04d}.png', cv2.IMREAD_UNCHANGED)


def files(out):
    """Relative path -> path."""
    return {str(p.relative_to(out)): p for p in sorted(Path(out).rglob('*')) if p.is_file()}


@pytest.mark.parametrize('size', [(9, 14), (24, 32), (5, 3)])
@pytest.mark.parametrize('chunk_frames', [0, 1, 5])
def test_every_pixel_arrives(tmp_path, out, size, chunk_frames):
    arrays = content(12, *size)
    done = convert(write_mat(tmp_path / 'nyu.mat', arrays, chunk_frames), out)
    for k in range(12):
        n = k + 1
        rgb = arrays['images'][k].transpose(2, 1, 0)
        np.testing.assert_array_equal(read(out, 'image', n)[..., ::-1], rgb)
        np.testing.assert_array_equal(read(out, 'label40', n), MAP_894_TO_40[arrays['labels'][k].T])
        for name, key in (('depth', 'depths'), ('raw_depth', 'rawDepths')):
            stored = read(out, name, n)
            assert stored.dtype == np.uint16 and stored.shape == size
            assert np.abs(stored / 1000 - arrays[key][k].T.astype(np.float64)).max() <= 0.0005 + 1e-6
    assert done == dict(now=12, bad_depth=0, train=9, test=3)
    for split in ('train', 'test'):
        expected = [f'{n:04d}' for n in sorted(SPLIT[split]) if n <= 12]
        assert Path(f'{out}/{split}.txt').read_text().split() == expected
    assert check_folder(out) == []
    assert len(NYUDSegDataset(data_root=out)) == 9
    assert len(NYUDDepthDataset(data_root=out, ann_file='test.txt')) == 3


def test_depth_is_rounded_clipped_and_never_negative(tmp_path, out):
    arrays = content(2, 2, 4)
    arrays['depths'][0, :, 0] = [1.0004, 1.0006, 65.6, np.inf]
    arrays['depths'][0, :, 1] = [np.nan, -2.0, -np.inf, 65.535]
    done = convert(write_mat(tmp_path / 'nyu.mat', arrays), out)
    assert read(out, 'depth', 1).tolist() == [[1000, 1001, 65535, 65535], [0, 0, 0, 65535]]
    assert done['bad_depth'] == 3


@pytest.mark.parametrize('chunk_frames', [1, 5])
def test_restart_writes_only_what_is_missing(tmp_path, out, monkeypatch, chunk_frames):
    """Stopped in the middle of a frame; what was finished is not touched again, what was not is."""
    mat = write_mat(tmp_path / 'nyu.mat', content(), chunk_frames)
    convert(mat, str(tmp_path / 'whole'))
    real, count = nyud_converter.write_png, []

    def stop(path, image):
        count.append(path)
        if len(count) == 15:  # the third file of the fourth frame
            (tmp_path / f'out/raw_depth/0004.png{PARTIAL}').write_bytes(b'half')
            raise KeyboardInterrupt
        real(path, image)

    monkeypatch.setattr(nyud_converter, 'write_png', stop)
    with pytest.raises(KeyboardInterrupt):
        convert(mat, out)
    assert not os.path.exists(f'{out}/train.txt')
    before = {f: f.stat().st_mtime_ns for f in files(out).values() if f.stem in ('0001', '0002', '0003')}
    assert len(before) == 12
    monkeypatch.setattr(nyud_converter, 'write_png', real)
    assert convert(mat, out)['now'] == 9
    assert {f: f.stat().st_mtime_ns for f in before} == before
    resumed, whole = ({k: f.read_bytes() for k, f in files(d).items()} for d in (out, tmp_path / 'whole'))
    assert len(whole) == 4 * 12 + 3 and resumed == whole
    assert convert(mat, out)['now'] == 0


def test_another_source_does_not_mix_in(tmp_path, mat, out):
    convert(mat, out)
    other = write_mat(tmp_path / 'other.mat', content(12, 18, 28))
    with pytest.raises(ConversionError, match='made from another file'):
        convert(other, out)
    assert read(out, 'image', 1).shape == (9, 14, 3)


def test_a_folder_with_something_else_is_left_alone(tmp_path, mat, out):
    os.makedirs(f'{out}/image')
    with pytest.raises(ConversionError, match='holds something else'):
        convert(mat, out)
    assert os.listdir(out) == ['image']


def test_fewer_frames_give_a_warning(mat, out):
    with pytest.warns(UserWarning, match='12 frames, the official file has 1449'):
        convert(mat, out)


def test_file_that_is_not_there(tmp_path, out):
    with pytest.raises(ConversionError, match='gone.mat: no such file.*--download'):
        convert(str(tmp_path / 'gone.mat'), out)


@pytest.mark.parametrize('data', [b'', b'<html>404</html>' * 100])
def test_not_hdf5(tmp_path, out, data):
    (tmp_path / 'page.mat').write_bytes(data)
    with pytest.raises(ConversionError, match=rf'page.mat: not HDF5.*{len(data):,} bytes.*2,972,037,809'):
        convert(str(tmp_path / 'page.mat'), out)
    assert not os.path.exists(out)


@pytest.mark.parametrize('share', [0.1, 0.5, 0.99])
def test_truncated(tmp_path, mat, out, share):
    data = Path(mat).read_bytes()
    (tmp_path / 'cut.mat').write_bytes(data[:int(len(data) * share)])
    with pytest.raises(ConversionError, match='cut.mat: (cannot be opened, most likely truncated|not HDF5)'):
        convert(str(tmp_path / 'cut.mat'), out)


def test_damaged_frames_are_named_and_frames_before_are_kept(tmp_path, out):
    path = write_mat(tmp_path / 'nyu.mat', content())
    with h5py.File(path) as f:
        offset = f['labels'].id.get_chunk_info(6).byte_offset
    with open(path, 'r+b') as f:
        f.seek(offset)
        f.write(b'\xff' * 60)
    with pytest.raises(ConversionError, match='nyu.mat: frames 7 to 7 cannot be read, the file is damaged'):
        convert(path, out)
    assert len(os.listdir(f'{out}/raw_depth')) == 6


@pytest.mark.parametrize('change, message', [
    (lambda a: a.pop('rawDepths'), r"lacks \['rawDepths'\], it holds \['depths', 'images', 'labels'\]"),
    (lambda a: a.update(depths=a['depths'][:11]), r'expected images \(N, 3, W, H\)'),
    (lambda a: a.update(images=a['images'].astype(np.float32)), 'images of float32'),
    (lambda a: a.update(images=a['images'][:, 0]), r'expected images \(N, 3, W, H\)'),
    (lambda a: a.update({k: v[:0] for k, v in a.items()}), '0 frames, expected 1449'),
    (lambda a: a['labels'].__setitem__((4, 0, 0), 895), 'frame 5: label 895, expected 0 to 894'),
])
def test_wrong_content(tmp_path, out, change, message):
    arrays = content()
    change(arrays)
    path = write_mat(tmp_path / 'nyu.mat', arrays, 0)
    with pytest.raises(ConversionError, match=f'nyu.mat: .*{message}'):
        convert(path, out)


def test_too_many_frames(tmp_path, out):
    path = write_mat(tmp_path / 'nyu.mat', content(1450, 1, 1), 0)
    with pytest.raises(ConversionError, match='1450 frames, expected 1449'):
        convert(path, out)


def test_without_h5py(mat, out, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == 'h5py':
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ConversionError, match='pip install h5py'):
        convert(mat, out)


def test_source_is_recorded(mat, out):
    convert(mat, out)
    source = json.loads(Path(f'{out}/source.json').read_text())
    assert source == dict(bytes=os.path.getsize(mat), frames=12, size=[9, 14])
