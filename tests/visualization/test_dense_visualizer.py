"""DenseVisualizer: what a picture holds for each kind of sample."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from cmim_mm.visualization import DenseVisualizer, panels

PALETTE = [[200, 10, 10], [10, 200, 10], [10, 10, 200]]


@pytest.fixture
def visualizer():
    made = DenseVisualizer()
    made.dataset_meta = dict(classes=('wall', 'floor', 'bed'), palette=PALETTE)
    return made


def sample(**maps):
    return SegDataSample(**{k: PixelData(data=torch.as_tensor(v)[None]) for k, v in maps.items()})


def colors(picture):
    return {tuple(c) for c in picture.reshape(-1, 3).tolist()}


def test_legend_has_the_classes_present_alone(visualizer):
    labels = np.zeros((240, 320), int)
    picture = visualizer.paint(np.full((240, 320, 3), 77, np.uint8), sample(pred_sem_seg=labels), ['pred'])
    assert tuple(PALETTE[0]) in colors(picture) and tuple(PALETTE[2]) not in colors(picture)
    assert (77, 77, 77) in colors(picture)
    with_truth = sample(pred_sem_seg=labels, gt_sem_seg=np.full((240, 320), 2))
    wide = visualizer.paint(np.full((240, 320, 3), 77, np.uint8), with_truth, ['gt', 'pred'])
    assert tuple(PALETTE[2]) in colors(wide) and wide.shape[1] > picture.shape[1]


def test_truth_and_prediction_share_the_scale(visualizer):
    truth = np.linspace(1, 5, 240 * 320, dtype=np.float32).reshape(240, 320)
    image = np.zeros((240, 320, 3), np.uint8)
    picture = visualizer.paint(image, sample(gt_depth_map=truth, pred_depth_map=truth), ['gt', 'pred'])
    head = len(picture) - 240
    left, right = picture[head:, 324:644], picture[head:, 648:968]
    assert np.array_equal(left, right) and np.array_equal(left, panels.paint_depth(truth, 1, 5))
    doubled = visualizer.paint(image, sample(gt_depth_map=truth, pred_depth_map=truth * 2), ['gt', 'pred'])
    assert np.array_equal(doubled[head:, 648:968], panels.paint_depth(truth * 2, 1, 5))


@pytest.mark.parametrize('size', [(64, 96), (240, 320), (121, 77)])
def test_both_tasks_any_size_to_a_file(visualizer, size, tmp_path):
    maps = dict(gt_sem_seg=np.full(size, 255), pred_sem_seg=np.ones(size, int),
                gt_depth_map=np.zeros(size, np.float32), pred_depth_map=np.ones(size, np.float32))
    out = tmp_path / 'new' / 'a.png'
    visualizer.add_datasample('a', np.zeros((*size, 3), np.uint8), sample(**maps), out_file=str(out))
    picture = cv2.imread(str(out))[..., ::-1]
    assert picture.shape[0] >= 2 * panels.MIN_HEIGHT
    assert tuple(PALETTE[1]) in colors(picture)


def test_image_alone(visualizer):
    assert visualizer.paint(np.full((240, 320, 3), 5, np.uint8), None, ['gt', 'pred']).shape[1] == 320


def test_shown_pictures_are_kept_too(visualizer, monkeypatch):
    shown, kept = [], []
    monkeypatch.setattr(visualizer, 'show', lambda picture, **_: shown.append(picture))
    monkeypatch.setattr(visualizer, 'add_image', lambda *args: kept.append(args))
    image = np.full((240, 320, 3), 9, np.uint8)
    visualizer.add_datasample('a', image, sample(pred_sem_seg=np.ones((240, 320), int)), show=True, step=3)
    assert len(shown) == 1 and kept[0][0::2] == ('a', 3) and np.array_equal(kept[0][1], shown[0])
    assert np.array_equal(visualizer.get_image(), shown[0])


def test_a_failed_write_keeps_the_old_file(visualizer, monkeypatch, tmp_path):
    out = tmp_path / 'a.png'
    out.write_bytes(b'before')

    def full(*_):
        raise OSError('disk full')
    monkeypatch.setattr('os.replace', full)
    with pytest.raises(OSError, match='disk full'):
        visualizer.add_datasample('a', np.zeros((24, 32, 3), np.uint8), out_file=str(out))
    assert out.read_bytes() == b'before'


def test_errors_name_the_map(visualizer):
    image = np.zeros((10, 12, 3), np.uint8)
    with pytest.raises(ValueError, match=r'pred_sem_seg is \(5, 6\), its image \(10, 12\)'):
        visualizer.paint(image, sample(pred_sem_seg=np.zeros((5, 6), int)), ['pred'])
    visualizer.dataset_meta = None
    with pytest.raises(ValueError, match='class names and palette'):
        visualizer.paint(image, sample(pred_sem_seg=np.zeros((10, 12), int)), ['pred'])
