"""Banks get a row for each training image; what is resumed fits, or training does not start."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import EMAHook
from torch.utils.data import ConcatDataset, Subset
from toy_run import ToyDataset, ToyMetric, ToyModel, build_runner

from cmim_mm.checkpoint import load_checkpoint_file
from cmim_mm.datasets import SeededDataset
from cmim_mm.engine import MemoryBankHook
from cmim_mm.models.losses import CMIMLoss
from cmim_mm.models.memory import MemoryBank

HOOK = {'type': 'cmim_mm.MemoryBankHook'}


class TwelveImages(ToyDataset):

    def __len__(self):
        return 12


class ContrastedToy(ToyModel):
    """The toy network with a contrast of its features with themselves, halved in precision."""

    def __init__(self, **memory):
        super().__init__()
        self.criterion = CMIMLoss()
        self.memory = MemoryBank(dim=32, num_negatives=4, **memory)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode != 'loss':
            return super().forward(inputs, data_samples, mode)
        z = F.normalize(self.body(torch.stack(list(inputs))) + 0.1, dim=1)
        idx = torch.tensor([self.memory.steps % 10, (self.memory.steps + 3) % 10])
        negatives = self.memory.draw(idx)
        loss = self.criterion(z, z, negatives.latent, negatives.mask)
        self.memory.update(idx, z, z.bfloat16().float())
        return {'loss': loss}


def build(work_dir, iterations, hooks=(HOOK, ), memory=None, **arguments):
    return build_runner(work_dir, iterations=iterations, hooks=hooks, model=ContrastedToy(**(memory or {})),
                        val_dataloader=None, val_cfg=None, val_evaluator=None, **arguments)


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
    assert not torch.equal(whole['state_dict']['memory.latent'], MemoryBank(10, 32).latent)


def test_resume_with_other_data_or_another_queue_is_refused(stopped):
    with pytest.raises(ValueError, match='memory: the resumed checkpoint has 10 rows, but the training data '
                                         'set has 12.*load_from=CHECKPOINT'):
        build(stopped, 6, resume=True, train_dataloader=loader(Subset(TwelveImages(), range(10)))).train()
    with pytest.raises(ValueError, match='has 10 rows, but the config asks for 8'):
        build(stopped, 6, resume=True, memory=dict(kind='queue', num_rows=8)).train()


def test_load_from_keeps_new_rows_whatever_the_checkpoint_has(run, tmp_path):
    runner = build(tmp_path, 1, load_from=str(run / 'iter_4.pth'), train_dataloader=loader(TwelveImages()))
    runner.train()
    memory = runner.model.memory
    assert memory.steps == 1 and len(memory.latent) == 12
    assert torch.equal(memory.latent[[1, 2]], MemoryBank(12, 32).latent[[1, 2]])
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


def test_num_rows_of_the_config_must_be_the_images(tmp_path):
    with pytest.raises(ValueError, match='num_rows=9 in the config.*10 images. Leave num_rows out'):
        build(tmp_path, 1, memory=dict(num_rows=9)).train()


def test_identities_must_be_unique(tmp_path):
    joined = loader(ConcatDataset([ToyDataset(), ToyDataset()]))
    with pytest.raises(ValueError, match="share one sample_idx.*'queue' or 'batch'"):
        build(tmp_path, 1, train_dataloader=joined).train()


def test_without_the_hook_a_bank_says_so(tmp_path):
    with pytest.raises(RuntimeError, match='no rows yet.*MemoryBankHook'):
        runner = build(tmp_path, 1, hooks=())
        runner._hooks = [hook for hook in runner.hooks if not isinstance(hook, MemoryBankHook)]
        runner.train()
