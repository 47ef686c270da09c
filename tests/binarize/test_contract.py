"""The contract of binarizer_contract.py over every registered method."""
import pytest
import torch
from binarizer_contract import CHECKS, build, gradients, inputs
from torch import distributed, nn

from cmim_mm.binarize import BINARIZERS, set_progress, start_epoch
from cmim_mm.engine.distributed import leave_group

METHODS = sorted(BINARIZERS.module_dict)
PUBLISHED_BLOCKS = {
    'BNN': 'plain', 'XNORNet': 'plain', 'DoReFa': 'plain', 'BiReal': 'bireal', 'IRNet': 'bireal',
    'RBNN': 'bireal', 'ReCU': 'bireal', 'ReActNet': 'react', 'AdaBin': 'maxout',
}


@pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.__name__[len('check_'):])
@pytest.mark.parametrize('name', METHODS)
def test_contract(name, check):
    check(name)


@pytest.mark.parametrize('name', sorted(PUBLISHED_BLOCKS))
def test_published_block(name):
    assert BINARIZERS.get(name).block == PUBLISHED_BLOCKS[name]


@pytest.fixture(scope='module')
def process_group(tmp_path_factory):
    store = tmp_path_factory.mktemp('ddp') / 'store'
    distributed.init_process_group('gloo', init_method=store.as_uri(), rank=0, world_size=1)
    yield
    leave_group()


@pytest.mark.parametrize('name', METHODS)
def test_distributed_data_parallel(name, process_group):
    conv = build(name)
    wrapped = nn.parallel.DistributedDataParallel(conv)
    for progress in (0.25, 0.75):  # an unused parameter would make the second step fail
        set_progress(wrapped, progress)
        start_epoch(wrapped)
        gradients(wrapped, inputs())
        assert conv.binarizer.progress == progress
    assert torch.equal(wrapped(inputs()), conv(inputs()))
