"""tools/train.py and tools/test.py on the classification stage, and its encoder in a segmentor."""
import numpy as np
import pytest
import torch
from fake_cifar import write_cifar100, write_class_folders

from cmim_mm.checkpoint import CheckpointError
from cmim_mm.datasets.layout import DataError

OPTIONS = ['--cfg-options', 'train_cfg.max_iters=4', 'train_cfg.val_interval=4',
           'train_dataloader.batch_size=2', 'default_hooks.logger.interval=1',
           'default_hooks.checkpoint.interval=2', 'default_hooks.checkpoint.max_keep_ckpts=3']
WORKERS = [f'{split}_dataloader.{key}' for split in ('train', 'val', 'test')
           for key in ('num_workers=0', 'persistent_workers=False')]


def test_cifar_trains_resumes_and_tests(tool, repository, tmp_path, capsys):
    write_cifar100(tmp_path / 'data')
    config = str(repository / 'configs/pretrain/irnet_r20_cifar100.py')
    data = ['--data-root', str(tmp_path / 'data')]
    tool('train.py').main([config, *data, '--work-dir', str(tmp_path / 'whole'), *OPTIONS])
    whole = torch.load(tmp_path / 'whole/iter_4.pth', weights_only=False)

    resumed = ['--work-dir', str(tmp_path / 'resumed'), '--resume', str(tmp_path / 'whole/iter_2.pth')]
    tool('train.py').main([config, *data, *resumed, *OPTIONS])
    again = torch.load(tmp_path / 'resumed/iter_4.pth', weights_only=False)
    for key, value in whole['state_dict'].items():
        assert torch.equal(value, again['state_dict'][key]), key

    capsys.readouterr()
    tool('test.py').main([
        config, str(tmp_path / 'whole/iter_4.pth'), *data, '--work-dir', str(tmp_path / 'test')])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('| accuracy/top')]
    assert len(lines) == 2 and all(np.isfinite(float(line.split('|')[2])) for line in lines)


def test_an_encoder_of_the_folder_stage_enters_nyud(tool, repository, rooms_root, tiny_options, tmp_path):
    write_class_folders(tmp_path / 'data', size=(40, 48), per_class=2)
    tool('train.py').main([
        str(repository / 'configs/pretrain/reactnet_r18_indoor.py'), '--data-root', str(tmp_path / 'data'),
        '--work-dir', str(tmp_path / 'indoor'), *OPTIONS, *WORKERS, 'train_cfg.max_iters=2'])
    checkpoint = tmp_path / 'indoor/iter_2.pth'
    weights = torch.load(checkpoint, weights_only=False)['state_dict']

    def segment(name, *options):
        tool('train.py').main([
            str(repository / 'configs/nyud_seg_bnn.py'), '--data-root', str(rooms_root),
            '--work-dir', str(tmp_path / name), *tiny_options, 'model.backbone.init_cfg.type=Pretrained',
            f'model.backbone.init_cfg.checkpoint={checkpoint}', 'model.backbone.init_cfg.prefix=backbone.',
            'optim_wrapper.optimizer.lr=0', 'train_cfg.max_iters=1', *options])
        return torch.load(tmp_path / name / 'iter_1.pth', weights_only=False)['state_dict']

    # A step at rate 0 moves no weight.
    convs = [key for key in weights if key.startswith('backbone.') and key.endswith('conv1.weight')]
    segmentor = segment('seg')
    assert convs and all(torch.equal(segmentor[key], weights[key]) for key in convs)
    with pytest.raises(CheckpointError, match='does not fit BinaryResNet: .*left over: .*binarizer.shift'):
        segment('other', 'model.backbone.binarizer=IRNet')


def test_missing_data_is_explained_before_the_start(tool, repository, tmp_path):
    for name, message in (('irnet_r20_cifar100', 'no CIFAR100'), ('irnet_r18_indoor', 'no class folders')):
        with pytest.raises(DataError, match=message):
            tool('train.py').main([str(repository / f'configs/pretrain/{name}.py'), '--work-dir',
                                   str(tmp_path / 'work'), '--data-root', str(tmp_path / 'none')])
    assert not (tmp_path / 'work').exists()
