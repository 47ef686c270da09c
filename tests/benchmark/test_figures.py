"""Figures from per-image sums equal those of the metrics that pool predictions themselves."""
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample

from cmim_mm.benchmark.figures import class_figures, figures, read_sums, shown_metrics
from cmim_mm.evaluation import DepthEigenMetric, DepthPixelMetric, ImageSums, TopKAccuracy
from cmim_mm.structures import ClsDataSample

CLASSES = ('wall', 'floor', 'bed', 'never')
META = {'classes': CLASSES, 'palette': [[9 * i, 0, 0] for i in range(4)]}


def dense_samples(count=5):
    generator = torch.Generator().manual_seed(0)
    samples = []
    for i in range(count):
        label = torch.randint(0, 3, (1, 24, 32), generator=generator)
        label[:, :3] = 255
        depth = torch.rand(1, 24, 32, generator=generator) * 9 + 0.5
        depth[:, 5 + i:9 + i] = 0
        sample = SegDataSample(metainfo=dict(img_path=f'/there/{i:04d}.png'))
        sample.gt_sem_seg, sample.gt_depth_map = PixelData(data=label), PixelData(data=depth)
        sample.pred_sem_seg = PixelData(data=torch.randint(0, 3, (1, 24, 32), generator=generator))
        sample.pred_depth_map = PixelData(data=depth + torch.rand(1, 24, 32, generator=generator) + 0.1)
        samples.append(sample.to_dict())
    return samples


def evaluate(metric, samples):
    metric.dataset_meta = META
    metric.process({}, samples)
    return metric.evaluate(len(samples))


@pytest.fixture(scope='module')
def sums(tmp_path_factory):
    path = tmp_path_factory.mktemp('sums') / 'images.npz'
    assert evaluate(ImageSums(str(path)), dense_samples()) == {}
    return read_sums(path)


def test_segmentation_equals_mmsegmentation(sums):
    expected = evaluate(IoUMetric(iou_metrics=['mIoU']), dense_samples())
    found = {key: value[0] for key, value in figures(sums).items()}
    for key in ('mIoU', 'aAcc', 'mAcc'):  # rounded there to two digits
        assert found[key] == pytest.approx(expected[key], abs=0.0051)
    assert class_figures(sums)[:3].mean() == pytest.approx(found['mIoU'])
    assert np.isnan(class_figures(sums)[3])  # a class that occurs nowhere
    assert sums['classes'].tolist() == list(CLASSES) and sums['names'][1] == '0001'


@pytest.mark.parametrize('metric, prefix', [
    (DepthPixelMetric, 'pixel'), (DepthEigenMetric, 'eigen_inpainted')])
def test_depth_equals_the_metrics(sums, metric, prefix):
    expected = evaluate(metric(), dense_samples())
    found = figures(sums)
    for key in ('rmse', 'abs_rel', 'd1', 'silog'):
        assert found[f'{prefix}/{key}'][0] == pytest.approx(expected[f'{prefix}/{key}'], rel=1e-9)


def test_weights_count_images(sums):
    """Weight 2 is the image twice, weight 0 not at all; each row of weights is a sample of its own."""
    weights = np.array([[2., 0, 0, 0, 1], [1, 1, 1, 1, 1]])
    found = figures(sums, weights)
    samples = dense_samples()
    twice = [samples[0], samples[0], samples[4]]
    assert found['mIoU'][0] == pytest.approx(evaluate(IoUMetric(), twice)['mIoU'], abs=0.0051)
    for key, metric in (('pixel', DepthPixelMetric()), ('eigen_inpainted', DepthEigenMetric())):
        assert found[f'{key}/rmse'][0] == pytest.approx(evaluate(metric, twice)[f'{key}/rmse'], rel=1e-9)
    assert found['mIoU'][1] == figures(sums)['mIoU'][0]


def test_classifiers_have_places(tmp_path):
    scores = torch.rand(8, 7, generator=torch.Generator().manual_seed(0))
    samples = [dict(ClsDataSample(pred_score=row, gt_label=torch.tensor([i % 7])).to_dict())
               for i, row in enumerate(scores)]
    evaluate(ImageSums(str(tmp_path / 'x.npz')), samples)
    expected = evaluate(TopKAccuracy(), samples)
    found = figures(read_sums(tmp_path / 'x.npz'))
    assert {key: value[0] for key, value in found.items()} == pytest.approx(expected)


def test_no_file_no_sums(tmp_path):
    assert read_sums(tmp_path / 'none.npz') is None


def test_main_metric_comes_first_and_unknown_ones_stay():
    assert shown_metrics(['aAcc', 'pixel/skipped', 'mIoU']) == ['mIoU', 'aAcc']
    assert shown_metrics(['psnr', 'ssim']) == ['psnr', 'ssim']
