"""Top-k accuracy, also over ranks."""
import numpy as np
import pytest
import torch

from cmim_mm.evaluation import TopKAccuracy
from cmim_mm.evaluation.accuracy import place


def samples(scores, labels):
    return [dict(pred_score=s, gt_label=torch.tensor([label])) for s, label in zip(scores, labels)]


def test_equals_a_direct_count():
    torch.manual_seed(0)
    scores, labels = torch.rand(200, 12), torch.randint(0, 12, (200, ))
    metric = TopKAccuracy(topk=(1, 3, 5))
    metric.process({}, samples(scores, labels))
    for k in (1, 3, 5):
        right = (scores.topk(k).indices == labels[:, None]).any(1).float().mean()
        assert metric.compute_metrics(metric.results)[f'top{k}'] == pytest.approx(100 * right.item())


def test_ties_count_in_order_and_nan_never():
    nan = float('nan')
    assert [place(np.array([1.0, 2.0, 2.0, 0.0]), i) for i in range(4)] == [2, 0, 1, 3]
    assert [place(np.full(3, 0.5), i) for i in range(3)] == [0, 1, 2]
    assert [place(np.array([nan, 1.0, nan]), i) for i in range(3)] == [3, 2, 3]


@pytest.mark.parametrize('where', [(3, 0), (3, 1)])
def test_a_nan_shows_in_every_figure(where):
    scores = torch.eye(5)
    scores[where] = float('nan')  # of the true class, or of another
    metric = TopKAccuracy(topk=(1, 5))
    metric.process({}, samples(scores, [0, 1, 2, 0, 4]))
    assert all(np.isnan(value) for value in metric.evaluate(5).values())


def test_images_repeated_by_the_sampler_do_not_count(monkeypatch):
    """Two ranks take 0, 2, 4 and 1, 3, 0 of five images; MMEngine hands rank 0 what all ranks found."""
    scores, labels = torch.eye(5), [0, 0, 2, 3, 3]
    ranks = [TopKAccuracy(topk=(1, )) for _ in range(2)]
    for metric, indices in zip(ranks, ([0, 2, 4], [1, 3, 0])):
        metric.process({}, samples(scores[indices], [labels[i] for i in indices]))
    interleaved = [r for pair in zip(*(m.results for m in ranks)) for r in pair]
    monkeypatch.setattr('mmengine.evaluator.metric.collect_results', lambda results, size, *_, **__:
                        interleaved[:size])
    assert ranks[0].evaluate(5) == {'accuracy/top1': pytest.approx(60.0)}


def test_bad_input_is_named():
    with pytest.raises(KeyError, match='image 7 has no gt_label'):
        TopKAccuracy().process({}, [dict(pred_score=torch.ones(3), sample_idx=7)])
    with pytest.raises(ValueError, match='label 3 with a model of 3 classes'):
        TopKAccuracy().process({}, samples(torch.ones(1, 3), [3]))
    with pytest.raises(ValueError, match='topk'):
        TopKAccuracy(topk=(0, ))
