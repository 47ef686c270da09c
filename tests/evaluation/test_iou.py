"""mmsegmentation's mIoU, unless a logit is NaN."""
import math

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric as SegIoUMetric

from cmim_mm.evaluation import IoUMetric

CLASSES = ('a', 'b', 'c')


def samples(count=3, logits=True):
    rng = torch.Generator().manual_seed(0)
    out = []
    for i in range(count):
        scores = torch.randn(3, 5, 7, generator=rng)
        sample = dict(img_path=f'{i}.png', pred_sem_seg=dict(data=scores.argmax(0, keepdim=True)),
                      gt_sem_seg=dict(data=torch.randint(0, 3, (1, 5, 7), generator=rng)))
        if logits:
            sample['seg_logits'] = dict(data=scores)
        out.append(sample)
    return out


def evaluate(kind, data, **kwargs):
    metric = kind(iou_metrics=['mIoU', 'mDice', 'mFscore'], **kwargs)
    metric.dataset_meta = dict(classes=CLASSES)
    for sample in data:
        metric.process({}, [sample])
    return metric.evaluate(len(data))


@pytest.mark.parametrize('logits', [True, False])
def test_finite_logits_give_mmsegmentations_figures(logits):
    figures = evaluate(IoUMetric, samples(logits=logits))
    assert figures == evaluate(SegIoUMetric, samples()) and 0 < figures['mIoU'] < 100


def test_one_nan_shows_in_every_figure():
    data = samples()
    data[1]['seg_logits']['data'][2, 3, 4] = float('nan')
    figures = evaluate(IoUMetric, data)
    assert len(figures) > 6 and all(math.isnan(value) for value in figures.values())


def test_writes_predictions_without_measuring(tmp_path):
    metric = IoUMetric(format_only=True, output_dir=str(tmp_path))
    metric.dataset_meta = dict(classes=CLASSES)
    data = samples()
    data[0]['seg_logits']['data'].fill_(np.nan)
    metric.process({}, data)
    assert len([*tmp_path.iterdir()]) == 3
