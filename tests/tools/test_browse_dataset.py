"""tools/analysis_tools/browse_dataset.py writes one picture an image, without a display."""
import cv2
import numpy as np
import pytest


@pytest.fixture(scope='module')
def browse(tool):
    return tool('analysis_tools/browse_dataset.py')


def pictures(browse, repository, rooms_root, out, config, *more):
    browse.main([str(repository / 'configs' / config), '--data-root', str(rooms_root), '--not-show',
                 '--output-dir', str(out), *more])
    return {p.name: cv2.imread(str(p)) for p in out.iterdir()}


@pytest.mark.parametrize('config', ['nyud_seg_bnn.py', 'nyud_depth_bnn.py'])
def test_phases_and_modes(browse, repository, rooms_root, tmp_path, config):
    train = pictures(browse, repository, rooms_root, tmp_path / 'a', config, '--show-number', '2')
    assert sorted(train) == ['0000_0001.png', '0001_0002.png']
    original = ['--show-number', '2', '--mode', 'original']
    plain = pictures(browse, repository, rooms_root, tmp_path / 'b', config, *original)
    assert not np.array_equal(train['0000_0001.png'], plain['0000_0001.png'])
    test = pictures(browse, repository, rooms_root, tmp_path / 'c', config, '--phase', 'test')
    assert sorted(test) == ['0000_0005.png']
