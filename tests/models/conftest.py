"""Tools for tests of models with binary layers."""
import pytest
from mmengine.registry import DefaultScope

from cmim_mm.binarize import BinaryConv2d


@pytest.fixture
def mmseg_scope():
    """The scope that configs have, for one test."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def watch_shares():
    """``watch(model)`` returns a dict that each forward fills: binary layer -> share of the upper value."""
    handles = []

    def watch(model):
        shares = {}

        def record(name):
            def hook(conv, inputs):
                binary = conv.binary_input(inputs[0].detach())
                shares[name] = (binary == binary.max()).float().mean().item()
            return hook

        for name, module in model.named_modules():
            if isinstance(module, BinaryConv2d):
                handles.append(module.register_forward_pre_hook(record(name)))
        return shares

    yield watch
    for handle in handles:
        handle.remove()
