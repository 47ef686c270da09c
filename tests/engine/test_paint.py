"""Every image of a test is painted, whatever the batches and ranks."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from cmim_mm.engine import PaintHook

SIZE = (240, 320)


class Dataset(list):
    metainfo = dict(classes=('wall', 'floor'), palette=[[200, 0, 0], [0, 200, 0]])


@pytest.fixture
def dataset(tmp_path):
    """Seven samples of two folders whose images have the same names."""
    samples = Dataset()
    for i in range(7):
        path = tmp_path / f'part{i // 4}' / f'{i % 4:04d}.png'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.full((*SIZE, 3), 10 * i, np.uint8))
        sample = SegDataSample(metainfo=dict(img_path=str(path)))
        sample.pred_sem_seg = PixelData(data=torch.zeros(1, *SIZE, dtype=torch.long))
        samples.append(sample)
    return samples


def paint(dataset, batch_size, ranks=1, monkeypatch=None, **kwargs):
    runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=dataset))
    for rank in range(ranks):
        if monkeypatch:
            monkeypatch.setattr('cmim_mm.engine.hooks.paint.get_dist_info', lambda r=rank: (r, ranks))
            monkeypatch.setattr('cmim_mm.engine.hooks.paint.is_main_process', lambda r=rank: r == 0)
        # As DefaultSampler: interleaved, and filled up from the start.
        share = [dataset[i % len(dataset)] for i in range(rank, -(-len(dataset) // ranks) * ranks, ranks)]
        hook = PaintHook(**kwargs)
        hook.before_test_epoch(runner)
        for batch, start in enumerate(range(0, len(share), batch_size)):
            hook.after_test_iter(runner, batch, None, share[start:start + batch_size])
        hook.after_test_epoch(runner)


@pytest.mark.parametrize('batch_size', [1, 3, 8])
@pytest.mark.parametrize('number', [None, 1, 5, 99])
@pytest.mark.parametrize('ranks', [1, 2])
def test_paints_each_or_as_many_as_asked(dataset, batch_size, number, ranks, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'below/out'
    paint(dataset, batch_size, ranks, monkeypatch, out_dir=str(out), number=number)
    expected = min(number or 7, 7)
    assert capsys.readouterr().out == f'{expected} of 7 images painted in {out}\n'
    pictures = sorted(out.iterdir())
    assert [p.name for p in pictures] == [f'{i:04d}_{i % 4:04d}.png' for i in range(expected)]
    for i, path in enumerate(pictures):
        picture = cv2.imread(str(path))
        assert (picture[-200:, 20:300] == 10 * i).all()  # its own image
        assert (picture == (0, 0, 200)).all(-1).any()  # and the prediction's colour


def test_shows_windows(dataset, monkeypatch):
    shown = []
    monkeypatch.setattr('cmim_mm.visualization.DenseVisualizer.show',
                        lambda self, picture, win_name, wait_time: shown.append((win_name, wait_time)))
    paint(dataset, 3, show=True, wait_time=0.5, number=2)
    assert shown == [('0000_0000', 0.5), ('0001_0001', 0.5)]
