"""Progress and epochs of binary layers, in a fake and a real runner, and over two ranks."""
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.engine import BinarizationProgressHook
from cmim_mm.engine.distributed import leave_group
from cmim_mm.registry import HOOKS


def runner(model, images=10, batch_size=2, ranks=2, max_iters=20):
    loader = DataLoader(range(images), batch_size=batch_size)
    return SimpleNamespace(
        model=model, train_dataloader=loader, world_size=ranks, max_iters=max_iters, iter=0)


def epochs_started(fake, iterations):
    """Iterations at which layer 0 of the model was started."""
    started = []
    fake.model[0].binarizer.start_epoch = lambda weight: started.append(fake.iter)
    hook = HOOKS.build(dict(type='cmim_mm.BinarizationProgressHook'))
    for fake.iter in iterations:
        hook.before_train_iter(fake, fake.iter)
    return started


def test_progress_follows_the_iterations():
    model = nn.Sequential(BinaryConv2d(2, 2, 1, binarizer='IRNet'), BinaryConv2d(2, 2, 1, binarizer='RBNN'))
    fake = runner(model)
    epochs_started(fake, [5])
    assert [layer.binarizer.progress.item() for layer in model] == [0.25, 0.25]
    epochs_started(fake, [19])
    assert [layer.binarizer.progress.item() for layer in model] == pytest.approx([0.95, 0.95])


@pytest.mark.parametrize('ranks, batch_size, expected', [
    (1, 2, [0, 5, 10, 15]), (2, 2, [0, 3, 5, 8, 10, 13, 15, 18]), (1, 3, [0, 4, 7, 10, 14, 17])])
def test_epochs_by_images_seen(ranks, batch_size, expected):
    model = nn.Sequential(BinaryConv2d(2, 2, 1, binarizer='RBNN'))
    assert epochs_started(runner(model, ranks=ranks, batch_size=batch_size), range(20)) == expected


@pytest.mark.parametrize('resumed_at', [4, 5, 6])
def test_resuming_neither_repeats_nor_skips(resumed_at):
    model = nn.Sequential(BinaryConv2d(2, 2, 1, binarizer='RBNN'))
    whole = epochs_started(runner(model, ranks=1), range(20))
    parts = epochs_started(runner(model, ranks=1), range(resumed_at))
    parts += epochs_started(runner(model, ranks=1), range(resumed_at, 20))
    assert parts == whole


def test_frozen_layers_keep_what_they_were_trained_to():
    model = nn.Sequential(BinaryConv2d(2, 2, 1, binarizer='ReCU'), BinaryConv2d(2, 2, 1, binarizer='ReCU'))
    model[0].binarizer.progress.fill_(1.0)
    model[0].requires_grad_(False)
    assert epochs_started(runner(model), [0]) == []
    assert [layer.binarizer.progress.item() for layer in model] == [1.0, 0.0]


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.conv = BinaryConv2d(3, 3, 3, padding=1, binarizer='RBNN')

    def forward(self, inputs, mode='tensor'):
        y = self.conv(inputs)
        return dict(loss=y.square().mean()) if mode == 'loss' else y


class Record(Hook):
    """Progress and rotation that each iteration has trained with."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        binarizer = runner.model.conv.binarizer
        self.seen.append((binarizer.progress.item(), binarizer.R1.clone()))


def collate(batch):
    return dict(inputs=torch.stack(batch))


def test_in_a_real_runner(tmp_path):
    record = Record()
    torch.manual_seed(0)
    data = [torch.randn(3, 4, 4) for _ in range(4)]
    Runner(
        model=Model(), work_dir=str(tmp_path), train_dataloader=DataLoader(data, 2, collate_fn=collate),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0)),
        custom_hooks=[dict(type='cmim_mm.BinarizationProgressHook'), record],
        default_hooks=dict(checkpoint=None),
        log_level='WARNING', experiment_name='binarization_progress').train()
    assert [progress for progress, _ in record.seen] == [0, 0.25, 0.5, 0.75]
    rotations = [rotation for _, rotation in record.seen]
    assert torch.equal(rotations[0], rotations[1]) and torch.equal(rotations[2], rotations[3])


def two_ranks(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2)
    torch.manual_seed(rank)  # different rotations to begin with
    model = nn.Sequential(BinaryConv2d(3, 4, 3, binarizer='RBNN'))
    before = model[0].binarizer.R1.clone()
    BinarizationProgressHook().before_train_iter(runner(model), 0)
    torch.save(dict(before=before, after=model.state_dict()), f'{folder}/{rank}.pth')
    leave_group()


def test_ranks_receive_the_state_of_rank_0(tmp_path):
    mp.spawn(two_ranks, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f'{rank}.pth') for rank in (0, 1))
    assert not torch.equal(first['before'], second['before'])
    assert not torch.equal(first['before'], first['after']['0.binarizer.R1'])
    for name in first['after']:
        same = torch.equal(first['after'][name], second['after'][name])
        assert same is (name != '0.weight'), name
