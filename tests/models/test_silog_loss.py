import math

import pytest
import torch

from cmim_mm.models import DepthL1Loss, SiLogLoss

LOSSES = [SiLogLoss, DepthL1Loss]


def maps(*values):
    return torch.tensor(values).view(1, 1, 1, -1)


@pytest.mark.parametrize('variance_focus', [0.0, 0.5, 0.85, 1.0])
def test_silog_is_its_formula(variance_focus):
    pred, target = maps(1.0, 2.0, 4.0, 9.0), maps(2.0, 1.0, 0.0, 3.0)
    d = [math.log(1 / 2), math.log(2), math.log(3)]  # the third pixel is missing
    mean = sum(d) / 3
    expected = math.sqrt(sum(x * x for x in d) / 3 - variance_focus * mean**2)
    loss = SiLogLoss(variance_focus=variance_focus, loss_weight=2.0)(pred, target)
    assert loss.item() == pytest.approx(2 * expected, rel=1e-4)


def test_l1_is_its_formula():
    assert DepthL1Loss(loss_weight=2.0)(maps(1.0, 5.0, 4.0), maps(2.0, 2.0, 0.0)).item() == 4.0


@pytest.mark.parametrize('loss', LOSSES)
def test_gradient_is_finite_at_the_ground_truth(loss):
    target = torch.rand(2, 1, 5, 6) * 9 + 1
    pred = target.clone().requires_grad_()
    value = loss()(pred, target)
    value.backward()
    assert value.item() < 2e-3
    assert pred.grad.abs().max() < 1e-3


@pytest.mark.parametrize('missing', [0.0, -1.0, float('nan'), float('inf')])
@pytest.mark.parametrize('loss', LOSSES)
def test_no_valid_pixel_is_a_connected_zero(loss, missing):
    pred = torch.rand(2, 1, 3, 4).requires_grad_()
    value = loss()(pred, torch.full((2, 1, 3, 4), missing))
    value.backward()
    assert value.item() == 0
    assert torch.equal(pred.grad, torch.zeros_like(pred))


@pytest.mark.parametrize('loss', LOSSES)
def test_invalid_pixels_neither_count_nor_harm(loss):
    pred = maps(1.0, 2.0, float('nan'), 5.0, 7.0).requires_grad_()
    target = maps(2.0, 1.5, 0.0, float('nan'), 12.0)
    value = loss(max_depth=10.0)(pred, target)
    assert value.item() == loss()(maps(1.0, 2.0), maps(2.0, 1.5)).item()
    value.backward()
    assert torch.isfinite(pred.grad).all()
    assert (pred.grad != 0).flatten().tolist() == [True, True, False, False, False]


def test_half_precision_prediction():
    value = SiLogLoss()(maps(1.0, 2.0).bfloat16(), maps(2.0, 3.0))
    assert value.dtype == torch.float32 and value > 0


def test_bad_arguments():
    with pytest.raises(ValueError, match='variance_focus'):
        SiLogLoss(variance_focus=1.5)
    with pytest.raises(ValueError, match='one shape'):
        SiLogLoss()(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3))
