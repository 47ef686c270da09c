"""PredictionDump: what it writes for each kind of prediction."""
import cv2
import numpy as np
import pytest
import torch

from cmim_mm.registry import METRICS

LABELS = {'pred_sem_seg': {'data': torch.tensor([[[0, 39], [12, 0]]])}}
DEPTH = {'pred_depth_map': {'data': torch.tensor([[[1.2344, 0.0], [9.9996, float('nan')]]])}}
MILLIMETRES = [[1234, 0], [10000, 0]]


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize('reduce_zero_label, expected', [
    (True, [[1, 40], [13, 1]]), (False, [[0, 39], [12, 0]]), (None, [[0, 39], [12, 0]])])
def test_labels(tmp_path, reduce_zero_label, expected):
    dump = METRICS.build({'type': 'cmim_mm.PredictionDump', 'out_dir': str(tmp_path / 'new')})
    dump.process(None, [{'img_path': 'a/0007.jpg', 'reduce_zero_label': reduce_zero_label, **LABELS}])
    assert dump.evaluate(1) == {}
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['0007.png']
    saved = read(tmp_path / 'new/0007.png')
    assert saved.dtype == np.uint8 and saved.tolist() == expected


def test_depth_and_both(tmp_path):
    dump = METRICS.build({'type': 'cmim_mm.PredictionDump', 'out_dir': str(tmp_path)})
    dump.process(None, [{'img_path': '0007.jpg', **DEPTH}, {'img_path': '0008.jpg', **LABELS, **DEPTH}])
    assert sorted(p.name for p in tmp_path.iterdir()) == ['0007.png', '0008.png', '0008_depth.png']
    for name in ('0007', '0008_depth'):
        saved = read(tmp_path / f'{name}.png')
        assert saved.dtype == np.uint16 and saved.tolist() == MILLIMETRES
    assert read(tmp_path / '0008.png').dtype == np.uint8
