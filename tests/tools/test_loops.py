"""MMEngine's own loops and loaders with this project's configs."""
import pytest
import torch

from cmim_mm.datasets import SeededDataset

LOOPS = {
    'epochs': "dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=2, val_interval=2)",
    'iterations': "dict(_delete_=True, type='IterBasedTrainLoop', max_iters=4, val_interval=4)",
}


@pytest.fixture
def train_on(tool, repository, rooms_root, tmp_path, monkeypatch):
    """Trains a child of a config without workers, 3 of the 7 training rooms a batch: the last batch has 1."""
    def train(base, loop):
        (tmp_path / 'child.py').write_text(
            f"_base_ = '{repository}/configs/{base}'\ntrain_cfg = {LOOPS[loop]}\n"
            'train_dataloader = dict(batch_size=3)\nparam_scheduler = []\n'
            'default_hooks = dict(checkpoint=dict(interval=1000, save_last=True))\n')
        tool('train.py').main([
            str(tmp_path / 'child.py'), '--data-root', str(rooms_root), '--work-dir', str(tmp_path / 'out'),
            '--cfg-options', 'model.decode_head.channels=8', 'model.data_preprocessor.input_scale=0.5',
            'randomness.seed=5', 'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'])
        checkpoint, = (tmp_path / 'out').glob('iter_*.pth')
        return torch.load(checkpoint, weights_only=True)['meta']

    seen = train.seen = []
    read = SeededDataset.__getitem__
    monkeypatch.setattr(SeededDataset, '__getitem__', lambda self, key: seen.append(key) or read(self, key))
    return train


def test_epochs_end_and_see_every_sample_once(train_on):
    meta = train_on('nyud/reactnet_r18-deeplabv3plus_1xb8-20k_nyud-480x640.py', 'epochs')
    positions, indices = zip(*train_on.seen)
    assert (meta['iter'], meta['epoch'], positions) == (6, 2, tuple(range(14)))
    assert sorted(indices[:7]) == sorted(indices[7:]) == list(range(7)) and indices[:7] != indices[7:]


def test_iterations_go_through_the_epochs(train_on):
    assert train_on('nyud_depth_bnn_quick.py', 'iterations')['iter'] == 4
    positions, indices = zip(*train_on.seen)
    assert positions == tuple(range(10)) and sorted(indices[:7]) == list(range(7))
