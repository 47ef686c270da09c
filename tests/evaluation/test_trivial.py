"""trivial_baseline: constants and figures that can be worked out by hand."""
import numpy as np
import pytest
from mmengine.config import Config

from cmim_mm.datasets.layout import DataError, write_png
from cmim_mm.evaluation.trivial import trivial_baseline

IMAGE = {'type': 'LoadImageFromFile'}
PACK = {'type': 'cmim_mm.PackDenseInputs'}
LABELS = {'type': 'LoadAnnotations', 'reduce_zero_label': True}
DEPTH = {'type': 'cmim_mm.LoadNYUDDepth'}
SHAPE = (4, 6)


@pytest.fixture
def root(tmp_path):
    """Training: 60 % floor (2), 40 % wall (1) of the labelled pixels; depth 1 m and 4 m, a third missing.
    Test: one frame, half floor and half bed (4); depth 1 m and 3 m."""
    frames = {  # name: (labels, depths) by columns
        '0001': ([0, 2, 2, 2, 1, 1], [1000, 1000, 4000, 4000, 0, 0]),
        '0002': ([0, 2, 2, 2, 1, 1], [1000, 1000, 4000, 4000, 0, 0]),
        '0003': ([2, 2, 2, 4, 4, 4], [1000, 1000, 1000, 3000, 3000, 3000]),
    }
    for folder in ('image', 'label40', 'depth'):
        (tmp_path / folder).mkdir()
    for name, (labels, depths) in frames.items():
        write_png(str(tmp_path / f'image/{name}.png'), np.zeros((*SHAPE, 3), np.uint8))
        write_png(str(tmp_path / f'label40/{name}.png'), np.tile(np.uint8(labels), (SHAPE[0], 1)))
        write_png(str(tmp_path / f'depth/{name}.png'), np.tile(np.uint16(depths), (SHAPE[0], 1)))
    (tmp_path / 'train.txt').write_text('0001\n0002\n')
    (tmp_path / 'test.txt').write_text('0003\n')
    return tmp_path


def make_config(root, dataset, pipeline, evaluator, wrap=lambda dataset: dataset):
    def data(ann_file, pipeline):
        return {'type': f'cmim_mm.{dataset}', 'data_root': str(root), 'ann_file': ann_file,
                'pipeline': pipeline}
    flip = {'type': 'RandomFlip', 'prob': 0.5}
    return Config({
        'train_dataloader': {'dataset': wrap(data('train.txt', [*pipeline[:-1], flip, pipeline[-1]]))},
        'test_dataloader': {'dataset': {**data('test.txt', pipeline), 'test_mode': True}},
        'test_evaluator': evaluator,
    })


@pytest.mark.parametrize('wrap', [
    lambda d: d,
    lambda d: {'type': 'cmim_mm.SeededDataset', 'dataset': d},
    lambda d: {'type': 'ConcatDataset', 'datasets': [d, d]},
])
def test_majority_class(root, wrap):
    cfg = make_config(root, 'NYUDSegDataset', [IMAGE, LABELS, PACK],
                      {'type': 'IoUMetric', 'iou_metrics': ['mIoU']}, wrap)
    predictor, metrics = trivial_baseline(cfg)
    assert predictor == 'majority class (floor)'
    assert metrics['aAcc'] == 50
    assert metrics['mIoU'] == 25  # floor 1/2, bed 0; classes without a pixel do not count


def test_mean_depth(root):
    cfg = make_config(root, 'NYUDDepthDataset', [IMAGE, DEPTH, PACK],
                      [{'type': 'cmim_mm.DepthPixelMetric'}, {'type': 'cmim_mm.DepthEigenMetric'}])
    predictor, metrics = trivial_baseline(cfg)
    assert predictor == 'mean depth (2.500 m)'
    assert metrics['pixel/rmse'] == pytest.approx(np.sqrt((1.5**2 + 0.5**2) / 2))
    assert metrics['pixel/d1'] == pytest.approx(0.5)
    assert any(key.startswith('eigen') for key in metrics)


def test_pipeline_without_ground_truth(root):
    cfg = make_config(root, 'NYUDDepthDataset', [IMAGE, PACK], [])
    with pytest.raises(DataError, match='neither gt_sem_seg nor gt_depth_map'):
        trivial_baseline(cfg)


def test_training_split_without_labels(root):
    for name in ('0001', '0002'):
        write_png(str(root / f'label40/{name}.png'), np.zeros(SHAPE, np.uint8))
    cfg = make_config(root, 'NYUDSegDataset', [IMAGE, LABELS, PACK], {'type': 'IoUMetric'})
    with pytest.raises(DataError, match='train.txt: no pixel of these frames is valid in gt_sem_seg'):
        trivial_baseline(cfg)
