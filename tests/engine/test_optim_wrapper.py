import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from cmim_mm.engine import CPUAmpOptimWrapper


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Linear(4, 4)


def test_forward_in_bfloat16_weights_in_float32(model):
    wrapper = OPTIM_WRAPPERS.build(
        {'type': 'cmim_mm.CPUAmpOptimWrapper', 'optimizer': torch.optim.SGD(model.parameters(), lr=0.1)})
    assert isinstance(wrapper, CPUAmpOptimWrapper)
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        out = model(torch.ones(2, 4))
    assert out.dtype == torch.bfloat16
    assert model(torch.ones(2, 4)).dtype == torch.float32
    wrapper.update_params(out.float().square().mean())
    assert model.weight.dtype == torch.float32 and not torch.equal(model.weight, before)


def test_update_is_close_to_that_of_float32(model):
    steps = []
    for kind in (OptimWrapper, CPUAmpOptimWrapper):
        model.zero_grad()
        wrapper = kind(optimizer=torch.optim.SGD(model.parameters(), lr=0.0))
        with wrapper.optim_context(model):
            loss = model(torch.linspace(0, 1, 8).view(2, 4)).square().mean()
        wrapper.backward(loss)
        steps.append(model.weight.grad.clone())
    assert not torch.equal(*steps)
    torch.testing.assert_close(*steps, rtol=0.05, atol=0.01)
