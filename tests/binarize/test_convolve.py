"""The convolution that makes its binary input again in backward: what it keeps, its gradients."""
import pytest
import torch
from binarizer_contract import assert_same, build, gradients, inputs
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from cmim_mm.binarize import BINARIZERS, conv, set_progress, start_epoch

METHODS = sorted(BINARIZERS.module_dict)


@pytest.mark.parametrize('name', METHODS)
def test_a_layer_keeps_its_input_and_no_other_activation(name):
    layer, x, kept = build(name, 4, 5, 3), inputs(2, 4, 9, 9).requires_grad_(), []
    with saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = layer(x)
    storages = {t.data_ptr(): t for t in kept if t.shape in (x.shape, y.shape)}
    assert set(storages) == {x.data_ptr()}


@pytest.mark.parametrize('name', ['DoReFa', 'AdaBin', 'RBNN'])
@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_gradients_are_those_of_the_plain_convolution(name, dtype, monkeypatch):
    layer = build(name, 4, 6, 3, stride=2, padding=(2, 1), dilation=2, groups=2, bias=True)
    x = inputs(2, 4, 9, 8)
    with torch.autocast('cpu', dtype=dtype, enabled=dtype is not None):
        found = gradients(layer, x)
        monkeypatch.setattr(conv, 'convolve', lambda layer, binary, x, weight, bias: F.conv2d(
            binary, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups))
        assert_same(found, gradients(layer, x))


def test_frozen_weights_and_inputs_without_a_gradient():
    layer, x = build('BiReal', 4, 6, 3, bias=True), inputs(2, 4, 9, 8)
    layer(x).sum().backward()
    assert layer.weight.grad.isfinite().all() and layer.bias.grad.isfinite().all()
    layer.requires_grad_(False)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad.any()


def test_backward_convolves_nothing_again():
    class Calls(TorchDispatchMode):
        names = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with Calls() as calls:
        build('ReActNet')(inputs().requires_grad_()).sum().backward()
    assert sum('convolution.' in name for name in calls.names) == 1
    assert sum('convolution_backward' in name for name in calls.names) == 1


def test_an_input_changed_in_place_is_an_error():
    x = inputs().requires_grad_() * 1
    y = build('BiReal')(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match='inplace'):
        y.sum().backward()


def other_layer(name):
    """The same layer with other parameters and other buffers."""
    layer = build(name, 4, 6, 3, padding=1, bias=True, seed=3)
    set_progress(layer, 0.9)
    start_epoch(layer)
    return layer


@pytest.mark.parametrize('name', METHODS)
@pytest.mark.parametrize('frozen', [False, True])
def test_gradients_under_functional_call_are_those_of_the_values_called_with(name, frozen):
    layer, other, x = build(name, 4, 6, 3, padding=1, bias=True), other_layer(name), inputs().requires_grad_()
    expected = gradients(other, x)
    layer.requires_grad_(not frozen)
    parameters = {key: value.detach().clone().requires_grad_() for key, value in other.named_parameters()}
    y = functional_call(layer, {**parameters, **dict(other.named_buffers())}, x)
    (y * inputs(*y.shape, seed=2)).sum().backward()
    found = {'y': y.detach(), 'x': x.grad, **{key: value.grad for key, value in parameters.items()}}
    assert_same(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize('name', METHODS)
def test_what_changes_between_forward_and_backward_is_not_used(name):
    x = inputs().requires_grad_()
    keys = list(build(name).state_dict())
    changes = {key: lambda layer, key=key: layer.state_dict()[key].mul_(0.5).add_(0.25) for key in keys}
    for change in (*changes.values(), start_epoch, lambda layer: layer.eval()):
        expected = gradients(build(name), x)
        layer = build(name)
        x.grad = None
        y = layer(x)
        change(layer)
        try:
            (y * inputs(*y.shape, seed=2)).sum().backward()
        except RuntimeError as error:
            assert 'modified by an inplace operation' in str(error)
        else:
            found = {key: value.grad for key, value in layer.named_parameters()}
            assert_same({'y': y.detach(), 'x': x.grad, **found}, expected, rtol=0, atol=0)
