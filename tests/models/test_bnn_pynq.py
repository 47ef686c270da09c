"""BNN-PYNQ's files: the imported network decides as its integers say."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.models.converters.bnn_pynq import read_cnv
from cmim_mm.registry import MODELS

#: (rows, columns, SIMD, processing elements) as the public sizes say.
SIZES = [(64, 27, 3, 16), (64, 576, 32, 32), (128, 576, 32, 16), (128, 1152, 32, 16), (256, 1152, 32, 4),
         (256, 2304, 32, 1), (512, 256, 4, 1), (512, 512, 8, 1), (64, 512, 1, 4)]


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    """The folder with random bits and thresholds, and these: [(bits (rows, columns), thresholds)]."""
    folder, rng, layers = tmp_path_factory.mktemp('cnv'), np.random.default_rng(0), []
    for index, (rows, columns, simd, elements) in enumerate(SIZES):
        bits = rng.integers(2, size=(rows, columns))
        middle = 0 if index == 0 else columns // 2
        thresholds = middle + rng.integers(-9, 10, rows) * (40 if index == 0 else 1)
        for p in range(elements):
            words = bits[p::elements].reshape(-1, columns // simd, simd) << np.arange(simd)
            words.sum(-1).astype('<u8').tofile(folder / f'{index}-{p}-weights.bin')
            thresholds[p::elements].astype('<i8').tofile(folder / f'{index}-{p}-thres.bin')
        layers.append((bits, thresholds))
    return folder, layers


def windows(x, size):
    """(N, C, H, W) -> (N, H', W', size * size * C), ordered (ky, kx, channel)."""
    x = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return x.transpose(0, 2, 3, 4, 5, 1).reshape(*x.shape[:1], *x.shape[2:4], -1)


def by_integers(layers, images):
    """The ten sums of uint8 images (N, 3, 32, 32), in integers alone."""
    value = np.clip(np.rint((images / 255 * 2 - 1) * 128), -128, 127).astype(np.int64)
    bits, t = layers[0]
    x = 2 * (windows(value, 3) @ (2 * bits - 1).T) > t  # 256 times sums of value / 128
    for index in range(1, 8):
        x = x.transpose(0, 3, 1, 2).astype(np.int64)
        bits, t = layers[index]
        columns = windows(x, 3 if index < 6 else 1)
        equal = columns @ bits.T + (1 - columns) @ (1 - bits).T
        x = equal > t
        if index in (1, 3):
            n, h, w, c = x.shape
            x = x.reshape(n, h // 2, 2, w // 2, 2, c).any((2, 4))
    return ((2 * x.astype(np.int64) - 1) @ (2 * layers[8][0] - 1).T)[:, 0, 0, :10]


def test_sums_are_those_of_the_integers(published, repository):
    folder, layers = published
    images = np.random.default_rng(1).integers(256, size=(4, 3, 32, 32), dtype=np.uint8)
    expected = by_integers(layers, images)
    assert len(np.unique(expected)) > 10
    model = MODELS.build(Config.fromfile(repository / 'configs/foreign/bnn_cnv_cifar10.py').model)
    model.load_state_dict(read_cnv(folder))
    data = model.data_preprocessor(dict(inputs=list(torch.from_numpy(images))))
    with torch.no_grad():
        assert np.array_equal(model.eval()(data['inputs']).numpy(), expected)


def test_larger_images_leave_larger_maps():
    network = MODELS.build(dict(type='cmim_mm.BinaryCNV')).eval()
    with torch.no_grad():
        assert [tuple(x.shape[1:]) for x in network(torch.rand(1, 3, 40, 32))] == [
            (64, 18, 14), (128, 7, 5), (256, 3, 1), (512, 3, 1)]


def test_a_twin_has_real_weights():
    twin = MODELS.build(dict(type='cmim_mm.BinaryCNV', binarizer=None)).eval()
    assert isinstance(twin.layer1[0].conv1, torch.nn.Conv2d)
    assert F.relu(twin(torch.rand(1, 3, 32, 32))[-1]).shape == (1, 512, 1, 1)


def test_a_folder_that_is_not_whole_is_named(published, tmp_path):
    folder, _ = published
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    cut = tmp_path / '3-7-thres.bin'
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r'3-7-thres.bin: has 63 bytes, expected 64'):
        read_cnv(tmp_path)
    cut.unlink()
    with pytest.raises(CheckpointError, match=r'3-7-thres.bin: there is no such file; expected the folder'):
        read_cnv(tmp_path)
