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
from mmseg.registry import DATASETS, MODELS

from cmim_mm.datasets.data_root import set_data_root
from cmim_mm.datasets.layout import DataError
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
    with pytest.raises(ToolError, match='is a file, expected a folder'):
        infer.main([*weights, str(copy), '--out', str(copy)])
    (tmp_path / 'broken.png').write_bytes(b'no image')
    with pytest.raises(DataError, match='broken.png: no readable image'):
        infer.main([*weights, str(tmp_path / 'broken.png'), '--out', str(tmp_path), '--device', 'cpu'])


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
