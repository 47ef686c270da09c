"""tools/analysis_tools/browse_dataset.py writes one picture an image, without a display."""
import cv2
import numpy as np
import pytest

from cmim_mm.engine.cli import ToolError


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


def test_errors_say_what_is_wrong(browse, repository, rooms_root, tmp_path):
    (tmp_path / 'file').write_text('')
    arguments = [str(repository / 'configs/nyud_seg_bnn.py'), '--data-root', str(rooms_root), '--not-show']
    with pytest.raises(ToolError, match='file: cannot be a folder'):
        browse.main([*arguments, '--output-dir', str(tmp_path / 'file')])
    config = tmp_path / 'no_val.py'
    config.write_text(f"_base_ = '{repository}/configs/nyud_seg_bnn.py'\nval_dataloader = None\n")
    with pytest.raises(ToolError, match='no_val.py has no val_dataloader for --phase val'):
        browse.main([str(config), *arguments[1:], '--phase', 'val'])
