"""Both protocols of depth evaluation, against transcriptions in numpy and against mmsegmentation."""
import math

import numpy as np
import pytest
import torch
from mmseg.evaluation import DepthMetric as StockDepthMetric

from cmim_mm.evaluation import DepthEigenMetric, DepthPixelMetric
from cmim_mm.evaluation.depth_metric import eigen_crop


def samples(count=3, size=(48, 64), seed=0, raw=False):
    rng = np.random.default_rng(seed)
    out = []
    for i in range(count):
        truth = rng.uniform(0.5, 9.5, size).astype(np.float32)
        pred = (truth * rng.uniform(0.6, 1.7, size)).clip(0.1, 9.9).astype(np.float32)
        truth[rng.random(size) < 0.1 * (i + 1)] = 0
        sample = dict(img_path=f'{i}.png', pred_depth_map=dict(data=torch.from_numpy(pred)[None]),
                      gt_depth_map=dict(data=torch.from_numpy(truth)[None]))
        if raw:
            holes = np.where(rng.random(size) < 0.3, 0, truth).astype(np.float32)
            sample['gt_raw_depth_map'] = dict(data=torch.from_numpy(holes)[None])
        out.append(sample)
    return out


def evaluate(metric, data):
    for sample in data:
        metric.process({}, [sample])
    return metric.evaluate(len(data))


def arrays(sample, key='gt_depth_map'):
    return [sample[k]['data'][0].numpy().astype(np.float64) for k in ('pred_depth_map', key)]


def figures(p, d):
    """The definitions, over valid pixels."""
    e = np.log(p) - np.log(d)
    ratio = np.maximum(p / d, d / p)
    return dict(
        rmse=np.sqrt(np.mean((p - d)**2)), abs_rel=np.mean(abs(p - d) / d), sq_rel=np.mean((p - d)**2 / d),
        rmse_log=np.sqrt(np.mean(e**2)), log10=np.mean(abs(np.log10(p) - np.log10(d))), silog=100 * np.std(e),
        d1=np.mean(ratio < 1.25), d2=np.mean(ratio < 1.25**2), d3=np.mean(ratio < 1.25**3))


def test_pixel_pools_all_pixels_of_the_set():
    data = samples()
    p, d = (np.concatenate([a.ravel() for a in column]) for column in zip(*map(arrays, data)))
    expected = figures(p[d > 0], d[d > 0])
    actual = evaluate(DepthPixelMetric(), data)
    assert set(actual) == {f'pixel/{k}' for k in [*expected, 'skipped']} and actual['pixel/skipped'] == 0
    for key, value in expected.items():
        assert actual[f'pixel/{key}'] == pytest.approx(value, rel=1e-12), key


@pytest.mark.parametrize('size, rows, columns', [
    ((480, 640), (45, 471), (41, 601)), ((240, 320), (23, 236), (21, 301)), ((48, 64), (5, 47), (4, 60)),
    ((1, 1), (0, 1), (0, 1))])
def test_eigen_crop_scales(size, rows, columns):
    assert eigen_crop(*size) == (slice(*rows), slice(*columns))


@pytest.mark.parametrize('raw', [True, False])
def test_eigen_means_figures_of_images_and_marks_inpainted(raw):
    data = samples(raw=raw)
    key = 'gt_raw_depth_map' if raw else 'gt_depth_map'
    per_image = []
    for sample in data:
        p, d = (a[5:47, 4:60] for a in arrays(sample, key))
        valid = (d > 1e-3) & (d < 10)
        per_image.append(figures(p[valid], d[valid]))
    actual = evaluate(DepthEigenMetric(), data)
    prefix = 'eigen' if raw else 'eigen_inpainted'
    assert set(actual) == {f'{prefix}/{k}' for k in [*per_image[0], 'skipped']}
    for k in per_image[0]:
        assert actual[f'{prefix}/{k}'] == pytest.approx(np.mean([f[k] for f in per_image]), rel=1e-12), k


def test_one_inpainted_image_marks_the_whole():
    metric = DepthEigenMetric()
    assert 'eigen_inpainted/rmse' in evaluate(metric, samples(2, raw=True) + samples(1))
    assert 'eigen/rmse' in evaluate(metric, samples(2, raw=True))


def test_the_protocols_differ():
    data = samples()
    assert evaluate(DepthPixelMetric(), data)['pixel/rmse'] != pytest.approx(
        evaluate(DepthEigenMetric(), data)['eigen_inpainted/rmse'], rel=1e-4)


def test_eigen_agrees_with_mmsegmentation_at_480x640():
    data = samples(2, (480, 640))
    stock = evaluate(
        StockDepthMetric(crop_type='nyu_crop', min_depth_eval=1e-3, max_depth_eval=10.0, prefix='s'), data)
    actual = evaluate(DepthEigenMetric(), data)
    for key in ('rmse', 'abs_rel', 'sq_rel', 'rmse_log', 'log10', 'd1', 'd2', 'd3'):
        assert actual[f'eigen_inpainted/{key}'] == pytest.approx(stock[f's/{key}'], rel=1e-5), key


@pytest.mark.parametrize('metric, prefix', [
    (DepthPixelMetric, 'pixel'), (DepthEigenMetric, 'eigen_inpainted')])
def test_images_without_valid_depth_are_left_out_and_counted(metric, prefix):
    data = samples()
    empty = samples(2)
    empty[0]['gt_depth_map']['data'].zero_()
    empty[1]['gt_depth_map']['data'].fill_(float('nan'))
    expected = evaluate(metric(), data)
    actual = evaluate(metric(), [empty[0], *data, empty[1]])
    assert actual.pop(f'{prefix}/skipped') == 2
    assert actual == {k: v for k, v in expected.items() if not k.endswith('skipped')}
    nothing = evaluate(metric(), empty)
    assert nothing[f'{prefix}/skipped'] == 2 and math.isnan(nothing[f'{prefix}/rmse'])


@pytest.mark.parametrize('metric', [DepthPixelMetric, DepthEigenMetric])
def test_bad_pixels_of_the_truth_do_not_count(metric):
    data, spoiled = samples(1), samples(1)
    for sample, values in ((data[0], [0, 0, 0]), (spoiled[0], [-2, float('nan'), float('inf')])):
        sample['gt_depth_map']['data'][0, 20, 20:23] = torch.tensor(values, dtype=torch.float32)
    assert evaluate(metric(), data) == evaluate(metric(), spoiled)


def test_predictions_are_clamped():
    flat = samples(1, (4, 4))
    flat[0]['gt_depth_map']['data'].fill_(2.0)
    flat[0]['pred_depth_map']['data'].fill_(-3.0)
    assert evaluate(DepthPixelMetric(), flat)['pixel/rmse'] == pytest.approx(2 - 1e-3, rel=1e-6)
    flat[0]['pred_depth_map']['data'].fill_(0.0)
    assert evaluate(DepthPixelMetric(), flat)['pixel/rmse_log'] == pytest.approx(math.log(2000), rel=1e-6)
    flat[0]['pred_depth_map']['data'].fill_(50.0)
    assert evaluate(DepthEigenMetric(), flat)['eigen_inpainted/rmse'] == pytest.approx(8)
    assert evaluate(DepthPixelMetric(), flat)['pixel/rmse'] == pytest.approx(48)


@pytest.mark.parametrize('metric, prefix', [
    (DepthPixelMetric, 'pixel'), (DepthEigenMetric, 'eigen_inpainted')])
@pytest.mark.parametrize('value', ['nan', 'inf', '-inf'])
@pytest.mark.parametrize('place', ['valid', 'missing', 'outside the crop', 'without any truth'])
def test_one_pixel_of_a_diverged_network_shows_in_every_figure(metric, prefix, value, place):
    data = samples(4)
    y, x = (0, 0) if place == 'outside the crop' else (20, 20)
    data[2]['gt_depth_map']['data'][0, y, x] = 0.0 if place == 'missing' else 2.0
    if place == 'without any truth':
        data[2]['gt_depth_map']['data'].zero_()
    data[2]['pred_depth_map']['data'][0, y, x] = float(value)
    figures = evaluate(metric(), data)
    assert all(math.isnan(v) for k, v in figures.items() if k != f'{prefix}/skipped') and len(figures) == 10


def test_perfect_prediction_is_finite():
    data = samples(1)
    data[0]['gt_depth_map']['data'] = data[0]['pred_depth_map']['data'].clone()
    result = evaluate(DepthPixelMetric(), data)
    assert result['pixel/rmse'] == result['pixel/silog'] == 0 and result['pixel/d1'] == 1


def test_size_mismatch_is_named():
    data = samples(1)
    data[0]['pred_depth_map']['data'] = torch.ones(1, 24, 32)
    with pytest.raises(ValueError, match=r'0.png: the prediction is \(24, 32\), gt_depth_map \(48, 64\)'):
        evaluate(DepthPixelMetric(), data)


def test_only_sums_are_kept_and_padding_of_ranks_is_dropped():
    metric = DepthPixelMetric()
    data = samples(3)
    metric.process({}, data + data[:1])  # the sampler pads the last rank with the first sample
    assert all(sums.shape == (10,) and sums.dtype == np.float64 for sums, _ in metric.results)
    assert metric.evaluate(3) == evaluate(DepthPixelMetric(), data)


def test_pooling_is_exact_for_many_images():
    """In float32 a sum of squares over a test set's 2e8 pixels would stall."""
    data = samples(1, (100, 100))
    data[0]['gt_depth_map']['data'].fill_(4.0)
    data[0]['pred_depth_map']['data'].fill_(4.1)
    metric = DepthPixelMetric()
    metric.process({}, data)
    metric.results *= 20000
    assert metric.evaluate(20000)['pixel/rmse'] == pytest.approx(np.float32(4.1) - 4.0, rel=1e-9)
