"""Each estimator's forward and derivative against its formula, kinks included."""
import math

import pytest
import torch

from cmim_mm.binarize import functions as fn

#: Kinks, both zeros, neighbours of 0, large values, an even spread.
POINTS = [0.0, -0.0, 1e-30, -1e-30, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 1e4, -1e4]
POINTS += [i / 7 - 2 for i in range(29)]
T, K = 3.0, 0.7


def b(x):
    return 1.0 if x >= 0 else -1.0


CASES = {
    'clipped_ste': (fn.clipped_ste, b, lambda x: float(abs(x) <= 1)),
    'open_clipped_ste': (fn.open_clipped_ste, b, lambda x: float(abs(x) < 1)),
    'scaled_ste': (lambda x: fn.scaled_ste(x, torch.tensor(0.3)), lambda x: 0.3 * b(x), lambda x: 1.0),
    'scaled_clipped_ste': (
        lambda x: fn.scaled_clipped_ste(x, torch.tensor(0.3)), lambda x: 0.3 * b(x),
        lambda x: float(abs(x) <= 1)),
    'polynomial_sign': (
        fn.polynomial_sign, b,
        lambda x: 2 + 2 * x if -1 <= x < 0 else 2 - 2 * x if 0 <= x < 1 else 0.0),
    'ede_sign': (
        lambda x: fn.ede_sign(x, torch.tensor(T), torch.tensor(K)), b,
        lambda x: K * T * (1 - math.tanh(T * x) ** 2)),
    'step': (fn.step, lambda x: float(x >= 0.5), lambda x: float(0 <= x <= 1)),
}


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_forward_and_derivative(case, dtype):
    function, forward, derivative = CASES[case]
    x = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
    y = function(x)
    assert y.dtype == dtype
    y.backward(torch.full_like(y, 2.0))
    points = x.tolist()
    torch.testing.assert_close(y, torch.tensor([forward(p) for p in points], dtype=dtype))
    expected = torch.tensor([2 * derivative(p) for p in points], dtype=dtype)
    torch.testing.assert_close(x.grad, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sign_has_two_values(dtype):
    x = torch.tensor([0.0, -0.0, 1.0, -1.0, math.inf, -math.inf], dtype=dtype)
    assert fn.sign(x).tolist() == [1, 1, 1, -1, 1, -1]
    assert fn.sign(x).dtype == dtype


def test_xnor_weight_gradient():
    w = torch.tensor([[0.5, -1.0], [2.0, 0.0]]).view(2, 2, 1, 1).requires_grad_()
    scale = torch.tensor([0.75, 1.25]).view(2, 1, 1, 1)
    y = fn.xnor_weight(w, scale)
    y.backward(torch.full_like(y, 2.0))
    assert y.flatten().tolist() == [0.75, -0.75, 1.25, 1.25]
    assert w.grad.flatten().tolist() == [2 * (0.75 + 0.5), 2 * 0.5, 2 * 0.5, 2 * (1.25 + 0.5)]


def test_straight_through_keeps_the_value_exactly():
    x = torch.tensor([1e8, 3.0], requires_grad=True)
    value = torch.tensor([0.1, 0.7])
    y = fn.straight_through(x, value)
    y.sum().backward()
    assert torch.equal(y, value) and x.grad.tolist() == [1, 1]


@pytest.mark.parametrize('progress, t', [(0.0, 0.01), (1 / 3, 0.1), (0.5, 10 ** -0.5), (1.0, 10.0)])
def test_ede_schedule(progress, t):
    found_t, found_k = fn.ede_schedule(torch.tensor(progress), 1e-2, 1e1)
    assert found_t.item() == pytest.approx(t, rel=1e-5)
    assert found_k.item() == pytest.approx(max(1 / t, 1), rel=1e-5)


def test_only_one_full_size_tensor_is_kept():
    x = torch.randn(4, 8, 5, 5, requires_grad=True)
    t = torch.tensor(2.0)
    for function in (fn.clipped_ste, fn.polynomial_sign, fn.step, lambda x: fn.ede_sign(x, t, t)):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda s, kept=kept: kept.append(s) or s, lambda s: s):
            function(x)
        full = [tensor for tensor in kept if tensor.numel() == x.numel()]
        assert len(full) == 1 and full[0].data_ptr() == x.data_ptr()
