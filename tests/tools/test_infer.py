"""tools/infer.py: paints, shows ground truth where there is some, and writes the raw prediction."""
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.datasets.data_root import set_data_root
from cmim_mm.datasets.layout import DataError
from cmim_mm.datasets.nyud_meta import CLASSES, MAP_40_TO_13
from cmim_mm.engine.cli import ToolError


@pytest.fixture(scope='module')
def infer(tool):
    return tool('infer.py')


@pytest.fixture(scope='module')
def checkpoint(repository, rooms_root, tmp_path_factory):
    """Config name -> path of the config and of an untrained checkpoint of it."""
    def make(name):
        cfg = Config.fromfile(repository / 'configs' / name)
        set_data_root(cfg, str(rooms_root))
        init_default_scope('mmseg')
        metainfo = DATASETS.build(cfg.test_dataloader.dataset).metainfo
        path = tmp_path_factory.mktemp('weights') / 'untrained.pth'
        torch.manual_seed(0)
        weights = MODELS.build(cfg.model).state_dict()
        torch.save({'state_dict': weights, 'meta': {'dataset_meta': metainfo}}, path)
        return [str(repository / 'configs' / name), str(path)]
    return make


@pytest.mark.parametrize('name, classes', [('nyud_seg_bnn_quick.py', 40), ('nyud_seg13_bnn.py', 13)])
def test_segmentation(infer, checkpoint, rooms_root, tmp_path, name, classes):
    more = ['--out', str(tmp_path / 'out'), '--device', 'cpu']
    infer.main([*checkpoint(name), str(rooms_root / 'image'), *more])
    names = {p.name for p in (tmp_path / 'out').iterdir()}
    assert names == {f'000{i}{kind}.png' for i in range(1, 9) for kind in ('', '_label')}
    labels = cv2.imread(str(tmp_path / 'out/0003_label.png'), -1)
    assert labels.shape == (64, 96) and labels.min() >= 1 and labels.max() <= classes
    painted = cv2.imread(str(tmp_path / 'out/0003.png'))
    alone = tmp_path / 'elsewhere.png'
    alone.write_bytes((rooms_root / 'image/0003.png').read_bytes())
    infer.main([*checkpoint(name), str(alone), *more])
    # Away from its data folder an image has no ground truth: one panel less.
    assert cv2.imread(str(tmp_path / 'out/elsewhere.png')).shape[1] < painted.shape[1]


def test_depth_of_patterns(infer, checkpoint, rooms_root, tmp_path):
    weights = checkpoint('nyud_depth_bnn_quick.py')
    infer.main([*weights, str(rooms_root / 'image/000[12].png'), '--out', str(tmp_path), '--device', 'cpu'])
    depth = cv2.imread(str(tmp_path / '0002_depth.png'), -1)
    assert depth.dtype == np.uint16 and depth.shape == (64, 96) and depth.min() > 0 and depth.max() <= 10000
    assert (tmp_path / '0001.png').is_file() and not (tmp_path / '0003.png').exists()


def test_errors_name_the_file(infer, checkpoint, rooms_root, tmp_path):
    weights = checkpoint('nyud_seg_bnn_quick.py')
    with pytest.raises(ToolError, match='nothing.png: there is no such image'):
        infer.main([*weights, 'nothing.png', '--out', str(tmp_path)])
    copy = tmp_path / '0001.png'
    copy.write_bytes((rooms_root / 'image/0001.png').read_bytes())
    with pytest.raises(ToolError, match='0001.png, .*0001.png: all would be written as 0001.png'):
        infer.main([*weights, str(copy), str(rooms_root / 'image/0001.png'), '--out', str(tmp_path)])
    for out in (copy, copy / 'below'):
        with pytest.raises(ToolError, match='0001.png.*: cannot be a folder'):
            infer.main([*weights, str(copy), '--out', str(out), '--device', 'cpu'])
    with pytest.raises(ToolError, match='--device nowhere'):
        infer.main([*weights, str(copy), '--out', str(tmp_path / 'out'), '--device', 'nowhere'])
    (tmp_path / 'broken.png').write_bytes(b'no image')
    with pytest.raises(DataError, match='broken.png: no readable image'):
        infer.main(
            [*weights, str(tmp_path / 'broken.png'), '--out', str(tmp_path / 'out'), '--device', 'cpu'])


@pytest.fixture
def folder(tmp_path):
    """A data folder of eight 64x96 frames whose label at (y, x) is (y + x) % 41."""
    rng = np.random.default_rng(0)
    labels = np.add.outer(np.arange(64), np.arange(96)) % 41
    for i in range(1, 9):
        maps = dict(image=rng.integers(0, 256, (64, 96, 3), np.uint8), label40=labels.astype(np.uint8),
                    depth=np.full((64, 96), 2500, np.uint16))
        for kind, array in maps.items():
            (tmp_path / 'data' / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / 'data' / kind / f'{i:04d}.png'), array)
    return tmp_path / 'data'


@pytest.mark.parametrize('count', [40, 13])
def test_ground_truth_is_mapped(infer, folder, count):
    def truth(classes):
        zeros = torch.zeros(1, 64, 96)
        sample = SegDataSample(
            pred_sem_seg=PixelData(data=zeros), pred_depth_map=PixelData(data=zeros),
            metainfo=dict(ori_shape=(64, 96)))
        infer.add_ground_truth(sample, folder / 'image/0001.png', classes)
        assert (sample.gt_depth_map.data == 2.5).all()
        return sample.gt_sem_seg.data[0].numpy() if 'gt_sem_seg' in sample else None

    stored = cv2.imread(str(folder / 'label40/0001.png'), -1)
    expected = stored if count == 40 else MAP_40_TO_13[stored]
    assert np.array_equal(truth(CLASSES[count]), np.where(expected == 0, 255, expected.astype(int) - 1))
    assert truth(('road', 'sky')) is None


def test_broken_ground_truth_is_named(infer, checkpoint, folder, tmp_path):
    cv2.imwrite(str(folder / 'label40/0002.png'), np.ones((32, 48), np.uint8))
    cv2.imwrite(str(folder / 'label40/0003.png'), np.full((64, 96), 77, np.uint8))
    weights = checkpoint('nyud_seg_bnn_quick.py')
    for name, problem in (('0002', 'shape'), ('0003', 'labels out of range')):
        with pytest.raises(DataError, match=f'label40/{name}.png: {problem}'):
            infer.main([*weights, str(folder / f'image/{name}.png'), '--out', str(tmp_path / 'out'),
                        '--device', 'cpu'])


def test_no_output_falls_on_another(infer, folder):
    image = folder / 'image/0001.png'
    other = image.with_name('0001_label.png')
    other.write_bytes(image.read_bytes())
    with pytest.raises(ToolError, match='0001.png, .*0001_label.png: all would be written as 0001_label.png'):
        infer.find_images([str(image.parent)])
    assert infer.find_images([str(image), os.path.relpath(image)]) == [image]
    assert infer.find_images([str(folder / 'image/000[123].png')]) == [
        image.with_name(f'000{i}.png') for i in (1, 2, 3)]
    with pytest.raises(ToolError, match='there is no such image'):
        infer.find_images([str(folder / 'ima*')])  # a folder, not an image


@pytest.mark.parametrize('kind', ['turned', 'grey16', 'alpha'])
def test_images_are_painted_as_the_network_sees_them(infer, checkpoint, folder, tmp_path, kind):
    pixels = cv2.imread(str(folder / 'image/0001.png'))
    image, size = tmp_path / f'{kind}.png', (64, 96)
    if kind == 'turned':  # EXIF orientation 6: a quarter turn clockwise
        jpeg, size = cv2.imencode('.jpg', pixels)[1].tobytes(), (96, 64)
        exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
        image = image.with_suffix('.jpg')
        image.write_bytes(jpeg[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + jpeg[2:])
    elif kind == 'grey16':
        cv2.imwrite(str(image), np.full((64, 96), 0x7fff, np.uint16))
    else:
        cv2.imwrite(str(image), cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA))
    out = tmp_path / 'out'
    infer.main([*checkpoint('nyud_depth_bnn_quick.py'), str(image), '--out', str(out), '--device', 'cpu'])
    assert cv2.imread(str(out / f'{kind}_depth.png'), -1).shape == size
    if kind == 'grey16':
        painted = cv2.imread(str(out / 'grey16.png'))[-200:, 20:300]
        assert (painted == 127).all()


def test_never_overwrites_its_input(infer, checkpoint, rooms_root, tmp_path):
    image = tmp_path / '0001.png'
    image.write_bytes((rooms_root / 'image/0001.png').read_bytes())
    before = image.read_bytes()
    with pytest.raises(ToolError, match='0001.png, which would be overwritten'):
        infer.main([*checkpoint('nyud_seg_bnn_quick.py'), str(image), '--out', str(tmp_path / 'x' / '..')])
    assert image.read_bytes() == before


@pytest.mark.parametrize('name', ['infer.py', 'analysis_tools/browse_dataset.py'])
def test_starts_in_a_process_of_its_own(repository, name):
    """Without the suite's own import of cmim_mm, which puts mmcv's missing ops in place."""
    done = subprocess.run([sys.executable, str(repository / 'tools' / name), '--help'], text=True,
                          capture_output=True, env={**os.environ, 'PYTHONPATH': str(repository)})
    assert done.returncode == 0 and '--cfg-options' in done.stdout, done.stderr


def test_checkpoint_of_another_task_is_refused(infer, checkpoint, rooms_root, tmp_path):
    config, _ = checkpoint('nyud_depth_bnn_quick.py')
    _, weights = checkpoint('nyud_seg_bnn_quick.py')
    with pytest.raises(CheckpointError, match='does not fit the DepthEstimator of this config: .*missing'):
        infer.main([config, weights, str(rooms_root / 'image'), '--out', str(tmp_path), '--device', 'cpu'])
    assert not any(tmp_path.iterdir())
