"""CMIMLoss: the reference's figures, the formulas, extremes, the bound, normalizers."""
import copy
import math

import pytest
import torch
import torch.nn.functional as F

from cmim_mm.models.losses import CMIMLoss, nce
from cmim_mm.models.losses.cmim_loss import infonce_bound


def unit(*shape, seed=0, **kwargs):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, **kwargs), dim=-1)


def example(dtype=torch.float64):
    anchor, positive, negatives = (unit(n, 8, seed=n, dtype=dtype) for n in (5, 4 + 1, 7))
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(3)) < 0.6
    return anchor, positive.flip(0), negatives, mask


def test_nce_is_the_formula_with_z_from_the_first_batch(monkeypatch):
    monkeypatch.setattr(nce, 'PIECE', 3)  # of the 7 negatives
    anchor, positive, negatives, mask = example()
    r_negative = ((anchor @ negatives.T) / 0.2).exp()
    z = r_negative[mask].mean()
    expected = 0
    for i in range(5):
        n = mask[i].sum()
        h = ((anchor[i] @ positive[i]) / 0.2).exp() / z
        expected -= (h / (h + n)).log() / 5
        expected -= (n / (r_negative[i, mask[i]] / z + n)).log().sum() / 5
    loss = CMIMLoss(0.2).double()
    torch.testing.assert_close(loss(anchor, positive, negatives, mask, side=1), expected)
    torch.testing.assert_close(loss.log_normalizer.exp(), torch.stack([torch.ones_like(z), z]))
    torch.testing.assert_close(loss(anchor, positive, negatives.expand(5, 7, 8), mask, side=1), expected)
    loss(positive, anchor, -negatives, side=1)
    torch.testing.assert_close(loss.log_normalizer[1].exp(), z)  # set once


def test_infonce_is_a_softmax_over_what_is_left():
    anchor, positive, negatives, mask = example()
    expected = 0
    for i in range(5):
        scores = torch.cat([positive[i, None], negatives[mask[i]]]) @ anchor[i] / 0.1
        expected = expected + F.cross_entropy(scores, torch.tensor(0)) / 5
    torch.testing.assert_close(CMIMLoss(form='infonce')(anchor, positive, negatives, mask), expected)


@pytest.mark.parametrize('form', ['nce', 'infonce'])
@pytest.mark.parametrize('temperature', [0.1, 0.005])
def test_extremes_stay_finite(form, temperature):
    anchor, positive, negatives, mask = example(torch.float32)
    anchor[0], anchor[1], positive[1] = 0, negatives[0], -negatives[0]
    mask[2:4] = False
    anchor.requires_grad_()
    loss = CMIMLoss(temperature, form)
    value = loss(anchor, positive, negatives, mask)
    value.backward()
    assert value.isfinite() and anchor.grad.isfinite().all()
    assert not anchor.grad[2:4].any() and anchor.grad[1].any()
    none_left = loss(anchor, positive, negatives, torch.zeros_like(mask))
    assert none_left == 0
    none_left.backward()
    assert anchor.grad.isfinite().all()


def test_z_waits_for_the_first_negative():
    anchor, positive, negatives, mask = example(torch.float32)
    loss = CMIMLoss()
    assert loss(anchor, positive, negatives, torch.zeros_like(mask)) == 0
    assert not loss.estimated.any()
    loss.eval()(anchor, positive, negatives)
    assert not loss.estimated.any()
    loss.train()(anchor, positive, negatives)
    assert loss.estimated.tolist() == [True, False]


def test_z_is_resumed():
    anchor, positive, negatives, mask = example(torch.float32)
    loss = CMIMLoss()
    loss(anchor, positive, negatives)
    other = CMIMLoss()
    other(anchor, positive, -negatives)
    other.load_state_dict(copy.deepcopy(loss.state_dict()))
    assert torch.equal(other(anchor, -positive, negatives, mask), loss(anchor, -positive, negatives, mask))
    assert torch.equal(other.log_normalizer, loss.log_normalizer)
    fresh = CMIMLoss().state_dict()
    other.load_state_dict(fresh)
    other(anchor, positive, negatives)
    assert torch.equal(other.log_normalizer, loss.log_normalizer)


def test_autocast_computes_in_float32():
    anchor, positive, negatives, mask = example(torch.float32)
    expected = CMIMLoss()(anchor, positive, negatives, mask)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(CMIMLoss()(anchor, positive, negatives, mask), expected)
        low = CMIMLoss()(anchor.bfloat16(), positive, negatives, mask)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, expected, rtol=0.02, atol=0)


@pytest.mark.parametrize('needs', ['anchor', 'negatives', 'all'])
@pytest.mark.parametrize('shared', [True, False])
def test_gradients_are_those_of_finite_differences(needs, shared, monkeypatch):
    monkeypatch.setattr(nce, 'PIECE', 3)
    anchor, positive, negatives, mask = example()
    mask[1] = False
    negatives = negatives if shared else negatives.expand(5, 7, 8).clone()
    anchor.requires_grad_(needs != 'negatives')
    negatives.requires_grad_(needs != 'anchor')
    positive.requires_grad_(needs == 'all')
    loss = CMIMLoss(0.2).double().eval()
    loss.log_normalizer.fill_(0.5)
    assert torch.autograd.gradcheck(loss, (anchor, positive, negatives, mask))


@pytest.mark.parametrize('form, largest', [('nce', 16 * 32), ('infonce', 64 * 32)])
def test_what_is_kept_for_backward(form, largest):
    """nce: gradients of its inputs; infonce: scores. Never anchors x negatives x width."""
    anchor, positive, negatives = unit(16, 32).requires_grad_(), unit(16, 32, seed=1), unit(64, 32, seed=2)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
        CMIMLoss(form=form)(anchor, positive, negatives)
    assert sizes and max(sizes) <= largest


@pytest.mark.parametrize('form', ['nce', 'infonce'])
def test_bounds_mutual_information_unless_own_class_is_masked(form):
    """z = z' = one of 4 directions, so I = log 4; 2000 independent negatives."""
    kinds, n = 4, 2000
    generator = torch.Generator().manual_seed(0)
    anchors = torch.randint(kinds, (400, ), generator=generator)
    others = torch.randint(kinds, (n, ), generator=generator)
    z = torch.eye(kinds)
    ceiling = math.log(n + (form == 'infonce'))
    bounds = [ceiling - CMIMLoss(t, form)(z[anchors], z[anchors], z[others]).item() for t in (2, 0.5, 0.1)]
    best = math.log(kinds) - (form == 'nce')
    assert best - 0.1 < max(bounds) < best + 0.05
    masked = CMIMLoss(0.1, form)(z[anchors], z[anchors], z[others], anchors[:, None] != others)
    assert ceiling - masked > math.log(kinds) + 1


def test_bound_by_hand():
    eye = torch.eye(16)
    assert infonce_bound(eye, eye, 0.01).item() == pytest.approx(math.log(16), abs=1e-4)
    # The first anchor fits two candidates, so half of its bit is lost; the second candidate has no rival.
    a, b = torch.eye(2)[[0, 1]], torch.eye(2)[[0, 0]]
    assert infonce_bound(a, b, 0.01).item() == pytest.approx(math.log(2) - math.log(2), abs=1e-4)
    assert infonce_bound(b, a, 0.01).item() == pytest.approx(math.log(2) - 50, abs=1e-3)
    valid = torch.arange(20) < 16
    eye = torch.eye(20)
    assert infonce_bound(eye, eye, 0.01, valid).item() == pytest.approx(math.log(16), abs=1e-4)


def test_restart_forgets_the_normalizer():
    anchor, positive, negatives, _ = example(torch.float32)
    loss = CMIMLoss()
    loss(anchor, positive, negatives)
    loss.restart()
    assert not loss.estimated.any() and not loss.log_normalizer.any()
    loss(anchor, positive, -negatives)
    assert loss.estimated[0]


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="form 'nec' is unknown.*'infonce'"):
        CMIMLoss(form='nec')
    with pytest.raises(ValueError, match='positive, got 0'):
        CMIMLoss(temperature=0)
    anchor, positive, negatives, mask = example()
    for arguments in [(anchor, positive[:4], negatives), (anchor, positive, negatives[:, :4]),
                      (anchor, positive, negatives, mask[:, :3]), (anchor, positive, negatives[None]),
                      (anchor[None], positive[None], negatives)]:
        with pytest.raises(ValueError, match=r'expected anchor \(B, d\).*Flatten positions'):
            CMIMLoss()(*arguments)
