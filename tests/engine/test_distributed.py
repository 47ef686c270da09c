"""Two gloo processes: the batch of one process shared out, the loss averaged over both."""
import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from toy_run import ToyDataset, ToyModel
from two_ranks import run_two_ranks

from cmim_mm.datasets import ResumableSampler, SeededDataset
from cmim_mm.datasets.seeded import Stream, derive_seed, seed_everything
from cmim_mm.engine import setup_launcher

SCRIPT = Path(__file__).with_name('toy_run.py')


@pytest.fixture(scope='module')
def two_ranks(tmp_path_factory):
    """The work folder of three iterations with 2 samples on each of two ranks."""
    work_dir = tmp_path_factory.mktemp('two')
    run_two_ranks(SCRIPT, work_dir, '--launcher', 'pytorch')
    return work_dir


def loss_of_rank(rank):
    """What one process gets on the half of the first batch that a rank takes."""
    dataset = SeededDataset(ToyDataset())
    half = [*zip(range(4), ResumableSampler(ToyDataset(), seed=0).order(0))][rank::2]
    samples = [dataset[key] for key in half]
    model = ToyModel().train()
    seed_everything(derive_seed(0, Stream.STEP, 0, rank))
    return model([s['inputs'] for s in samples], [s['data_samples'] for s in samples], 'loss')['loss'].item()


def test_first_logged_loss_is_the_mean_of_the_halves(two_ranks):
    log = next(two_ranks.glob('*/vis_data/scalars.json')).read_text().splitlines()
    halves = [loss_of_rank(0), loss_of_rank(1)]
    assert abs(halves[0] - halves[1]) > 1e-3
    assert json.loads(log[0])['loss'] == pytest.approx(sum(halves) / 2, rel=1e-5)


def test_ranks_end_with_the_same_weights(two_ranks):
    one, other = (torch.load(two_ranks / f'rank{rank}.pth') for rank in range(2))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_no_thread_of_gloo_outlives_the_group(two_ranks):
    """One that does aborts the process, now and then, when the interpreter is torn down."""
    for rank in range(2):
        names = (two_ranks / f'threads{rank}').read_text()
        assert 'python' in names and 'gloo' not in names


# setup_launcher, without processes. ------------------------------------------------------------------

@pytest.fixture
def no_gpu(monkeypatch):
    """No accelerator, an environment of the test's own, and a record instead of a process group."""
    made = []
    monkeypatch.setattr('cmim_mm.engine.distributed.get_device', lambda: 'cpu')
    monkeypatch.setattr('cmim_mm.engine.distributed.os.environ', {})
    monkeypatch.setattr(torch.distributed, 'init_process_group', lambda *args, **kw: made.append((args, kw)))
    return made


def test_no_launcher_changes_nothing(no_gpu):
    cfg = Config({'model': {'norm_cfg': {'type': 'SyncBN'}}})
    setup_launcher(cfg, 'none')
    assert cfg.to_dict() == {'model': {'norm_cfg': {'type': 'SyncBN'}}, 'launcher': 'none'} and not no_gpu


def test_a_gpu_is_left_to_mmengine(no_gpu, monkeypatch):
    monkeypatch.setattr('cmim_mm.engine.distributed.get_device', lambda: 'cuda')
    cfg = Config({'find_unused_parameters': True})
    setup_launcher(cfg, 'pytorch')
    assert cfg.to_dict() == {'find_unused_parameters': True, 'launcher': 'pytorch'} and not no_gpu


@pytest.mark.parametrize('launcher, environment', [
    ('pytorch', {'RANK': '1', 'WORLD_SIZE': '2', 'LOCAL_RANK': '1', 'MASTER_ADDR': 'h', 'MASTER_PORT': '5'}),
    ('slurm', {'SLURM_PROCID': '1', 'SLURM_NTASKS': '2', 'SLURM_LOCALID': '1', 'SLURM_NODELIST': 'h[1-2]'}),
    ('mpi', {'OMPI_COMM_WORLD_RANK': '1', 'OMPI_COMM_WORLD_SIZE': '2', 'OMPI_COMM_WORLD_LOCAL_RANK': '1'})])
def test_each_launcher_on_a_cpu(launcher, environment, no_gpu, monkeypatch):
    monkeypatch.setattr('cmim_mm.engine.distributed._first_slurm_host', lambda nodes: f'first of {nodes}')
    os.environ.update(environment)
    cfg = Config({'find_unused_parameters': True, 'model_wrapper_cfg': {'detect_anomalous_params': True},
                  'env_cfg': {'dist_cfg': {'backend': 'nccl', 'timeout': 60}}})
    setup_launcher(cfg, launcher)
    assert [os.environ[name] for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')] == ['1', '2', '1']
    addresses = {'pytorch': 'h', 'slurm': 'first of h[1-2]', 'mpi': '127.0.0.1'}
    assert os.environ['MASTER_ADDR'] == addresses[launcher]
    (arguments, options), = no_gpu
    assert arguments == ('gloo',) and options['timeout'].total_seconds() == 60
    assert cfg.model_wrapper_cfg.to_dict() == {
        'type': 'MMDistributedDataParallel', 'broadcast_buffers': False, 'find_unused_parameters': True,
        'detect_anomalous_params': True, 'device_ids': None}


def test_errors_say_what_to_do(no_gpu):
    with pytest.raises(ValueError, match="'torchrun' is unknown.*pytorch"):
        setup_launcher(Config({}), 'torchrun')
    with pytest.raises(RuntimeError, match='RANK, WORLD_SIZE, LOCAL_RANK not set.*torchrun'):
        setup_launcher(Config({}), 'pytorch')
    heads = {'model': {'auxiliary_head': [{'norm_cfg': {'type': 'SyncBN'}}]}}
    with pytest.raises(ValueError, match=r'--cfg-options model.auxiliary_head.0.norm_cfg.type=BN'):
        setup_launcher(Config(heads), 'pytorch')
