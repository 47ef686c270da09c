"""Probes by hand and by closed form."""
import math

import pytest
import torch

from cmim_mm.binarize import BINARIZERS, BinaryConv2d, set_progress
from cmim_mm.evaluation.probes import flip_ratio, info_nce_bound, knn_accuracy, saturation, slopes


def test_bound_of_correlated_gaussians_stays_below_their_information():
    """Pairs of d Gaussians, correlation r: I = -d/2 log(1 - r^2), here 1.15 nats of log 2000 = 7.6."""
    generator = torch.Generator().manual_seed(0)
    a, noise = torch.randn(2, 2000, 8, generator=generator)
    r = 0.5
    truth = -4 * math.log(1 - r * r)
    assert 0.3 * truth < info_nce_bound(a, r * a + (1 - r * r)**0.5 * noise, 1.0) < truth
    assert abs(info_nce_bound(a, noise, 1.0)) < 0.2


def test_bound_by_hand_and_its_ceiling():
    eye = torch.eye(4)
    expected = math.log(4) - math.log(1 + 3 * math.exp(-10))
    assert info_nce_bound(eye, 7 * eye) == pytest.approx(expected, abs=1e-6)
    assert info_nce_bound(eye, eye.roll(1, 0)) == pytest.approx(expected - 10, abs=1e-5)
    assert info_nce_bound(eye, eye, 0.01) == pytest.approx(math.log(4))


def test_flip_ratio():
    before = torch.tensor([True, True, False, True])
    assert flip_ratio(before, torch.tensor([True, False, False, True])) == 0.25


#: Where each estimator passes at least a thousandth of its largest gradient, at p = 1, for z = x or x / std.
PASSES = dict(
    BNN=lambda z: z.abs() <= 1, XNORNet=lambda z: z.abs() < 1, DoReFa=lambda z: (z >= 0) & (z <= 1),
    BiReal=lambda z: z.abs() < 0.999, ReActNet=lambda z: z.abs() < 0.999, AdaBin=lambda z: z.abs() < 0.999,
    ReCU=lambda z: z.abs() < 0.999, IRNet=lambda z: 1 - torch.tanh(10 * z)**2 > 1e-3,
    RBNN=lambda z: z.abs() < 2**0.5 / 10 * 0.999)


@pytest.mark.parametrize('name', sorted(PASSES))
def test_saturation_is_where_the_estimator_is_flat(name):
    assert set(PASSES) <= set(BINARIZERS.module_dict)
    conv = BinaryConv2d(3, 2, 3, binarizer=name)
    set_progress(conv, 1.0)
    x = torch.randn(40, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    z = x
    if name in ('ReCU', 'RBNN'):
        z = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)
    slope = slopes(conv.binary_input, x, draws=50)
    assert slope.shape == (40, 50) and all(p.grad is None for p in conv.parameters())
    expected = (~PASSES[name](z)).float().mean().item()
    assert saturation(slope) == pytest.approx(expected, abs=0.04) and 0.05 < expected < 0.95
    assert torch.equal(slope, slopes(conv.binary_input, x, draws=50))


def test_saturation_without_any_gradient_is_whole():
    assert saturation(torch.zeros(3, 2)) == 1
    assert saturation(torch.tensor([[1.0, -1.0], [0.0, 5e-4]])) == 0.5


def test_knn_by_hand():
    features = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.9, 0.1], [0.1, 1.0], [0.0, 1.0], [1.0, 0.05]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert knn_accuracy(features, labels, k=1, chunk=4) == pytest.approx(4 / 6)
    assert knn_accuracy(features[:5], labels[:5], k=1) == 1
    # Rows of one image do not find each other: 3 and 4 see the first class alone.
    assert knn_accuracy(features[:5], labels[:5], groups=torch.tensor([0, 1, 2, 3, 3]), k=1) == 0.6
    assert math.isnan(knn_accuracy(features[:2], labels[:2], groups=torch.zeros(2, dtype=torch.long)))
