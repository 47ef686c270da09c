"""Banks get a row for each training image; what is resumed fits, or training does not start."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import EMAHook
from torch.utils.data import ConcatDataset
from toy_run import ToyDataset, ToyMetric, ToyModel, build_runner

from cmim_mm.checkpoint import load_checkpoint_file
from cmim_mm.datasets import SeededDataset
from cmim_mm.engine import MemoryBankHook, ResumeHook
from cmim_mm.models import Bank, CMIMLoss, contrast
from cmim_mm.registry import MODELS

HOOK = {'type': 'cmim_mm.MemoryBankHook'}


class TwelveImages(ToyDataset):

    def __len__(self):
        return 12


class ContrastedToy(ToyModel):
    """The toy network with a contrast of its features with themselves, halved in precision."""

    def __init__(self, memory=None):
        super().__init__()
        self.criterion = CMIMLoss()
        self.memory = MODELS.build({'type': 'cmim_mm.Bank', 'dim': 32, 'num_negatives': 4, **(memory or {})})

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode != 'loss':
            return super().forward(inputs, data_samples, mode)
        z = F.normalize(self.body(torch.stack(list(inputs))) + 0.1, dim=1)
        idx = torch.tensor([self.memory.steps % 10, (self.memory.steps + 3) % 10])
        return {'loss': contrast(self.criterion, self.memory, z, z.bfloat16().float(), idx).loss}


def build(work_dir, iterations, hooks=(HOOK, ), memory=None, **arguments):
    runner = build_runner(work_dir, iterations=iterations, hooks=hooks, model=ContrastedToy(memory),
                          val_dataloader=None, val_cfg=None, val_evaluator=None, **arguments)
    # It would refuse another data set or memory first, where it has a record of the run.
    runner._hooks = [hook for hook in runner.hooks if not isinstance(hook, ResumeHook)]
    return runner


def loader(dataset):
    return {'dataset': SeededDataset(dataset), 'batch_size': 2, 'num_workers': 0,
            'sampler': {'type': 'cmim_mm.ResumableSampler'}}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Six iterations, saved at 2, 4 and 6."""
    work_dir = tmp_path_factory.mktemp('whole')
    build(work_dir, 6, checkpoint={'interval': 2}).train()
    return work_dir


@pytest.fixture
def stopped(run, tmp_path):
    """The folder of the same run, ended after four iterations."""
    (tmp_path / 'iter_4.pth').symlink_to(run / 'iter_4.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_4.pth'))
    return tmp_path


def test_resumed_run_ends_with_the_same_rows(run, stopped):
    build(stopped, 6, resume=True).train()
    whole, resumed = (load_checkpoint_file(folder / 'iter_6.pth') for folder in (run, stopped))
    for part in ('state_dict', 'ema_state_dict'):
        assert whole[part].keys() == resumed[part].keys()
        for name, value in whole[part].items():
            assert torch.equal(resumed[part][name], value), f'{part}.{name}'
    assert whole['state_dict']['memory.latent'].shape == (10, 32) and whole['state_dict']['memory.steps'] == 6
    fresh = Bank(32)
    fresh.allocate(10)
    assert not torch.equal(whole['state_dict']['memory.latent'], fresh.latent)


@pytest.mark.parametrize('other, differs', [
    (dict(train_dataloader=loader(TwelveImages())), "data 'ToyDataset, 10 images' there, 'TwelveImages, 12"),
    (dict(memory=dict(type='cmim_mm.Queue', num_rows=10)), "memory 'Bank' there, 'Queue' here"),
    (dict(memory=dict(dim=16)), 'dim 32 there, 16 here')])
def test_resume_with_other_data_memory_or_embedding_is_refused(stopped, other, differs):
    with pytest.raises(ValueError, match=f'{differs}.*load_from=CHECKPOINT'):
        build(stopped, 6, resume=True, **other).train()


@pytest.mark.parametrize('door', ['load_from', 'init_cfg'])
def test_through_every_other_door_a_run_begins_anew(run, tmp_path, door):
    """Weights of the checkpoint; rows, counters and normalizers of a new run, in the average too."""
    path = str(run / 'iter_4.pth')
    arguments = dict(load_from=path) if door == 'load_from' else {}
    runner = build(tmp_path, 1, train_dataloader=loader(TwelveImages()), **arguments)
    if door == 'init_cfg':
        runner.model.init_cfg = dict(type='Pretrained', checkpoint=path)
    seen = []
    body = runner.model.body
    body.register_forward_pre_hook(lambda *_: seen.append(float(runner.model.head.bias[0].detach())))
    runner.train()
    memory = runner.model.memory
    fresh = Bank(32)
    fresh.allocate(12)
    assert memory.steps == 1 and len(memory) == 12
    assert torch.equal(memory.latent[[1, 2]], fresh.latent[[1, 2]])
    trained = load_checkpoint_file(path)['state_dict']
    assert seen == [float(trained['head.bias'][0])]
    assert runner.model.criterion.log_normalizer[0] != trained['criterion.log_normalizer'][0]
    average, = (hook.ema_model.module for hook in runner.hooks if isinstance(hook, EMAHook))
    assert torch.equal(average.memory.latent, memory.latent)


def test_a_test_allocates_nothing(run, tmp_path):
    runner = build_runner(
        tmp_path, hooks=(HOOK, ), model=ContrastedToy(), load_from=str(run / 'iter_6.pth'), test_cfg={},
        test_dataloader={**loader(ToyDataset()), 'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
        test_evaluator=[ToyMetric(prefix='toy')])
    assert runner.test()
    assert len(runner.model.memory.latent) == 0
    trained = load_checkpoint_file(run / 'iter_6.pth')['state_dict']
    assert torch.equal(runner.model.head.bias, trained['head.bias'])


def test_identities_must_be_unique(tmp_path):
    joined = loader(ConcatDataset([ToyDataset(), ToyDataset()]))
    with pytest.raises(ValueError, match="share one sample_idx.*'Queue' or 'InBatch'"):
        build(tmp_path, 1, train_dataloader=joined).train()


def test_without_the_hook_a_bank_says_so(tmp_path):
    with pytest.raises(RuntimeError, match='no rows yet.*Runner'):
        runner = build(tmp_path, 1, hooks=())
        runner._hooks = [hook for hook in runner.hooks if not isinstance(hook, MemoryBankHook)]
        runner.train()
