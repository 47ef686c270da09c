"""A resumed run is what its config says, or it does not start."""
import shutil

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from test_loop import assert_equal
from tiny_run import build

from cmim_mm.checkpoint import CheckpointError, load_checkpoint_file
from cmim_mm.engine.schedule import ScheduleError

PARTS = ('state_dict', 'optimizer', 'param_schedulers')


@pytest.fixture(scope='module')
def ended(tmp_path_factory):
    """Four iterations, saved at 2 and 4, the best one at 4."""
    work_dir = tmp_path_factory.mktemp('ended')
    build(work_dir, train_cfg__val_interval=4,
          default_hooks__checkpoint__save_best='accuracy/top1').train()
    return work_dir


def resumed(work_dir, checkpoint, iterations=4, **changes):
    """The Runner, trained from a checkpoint to the end."""
    runner = build(work_dir, iterations, resume=True, load_from=str(checkpoint), **changes)
    runner.train()
    return runner


def state(path):
    checkpoint = load_checkpoint_file(path)
    return {part: checkpoint.get(part) for part in PARTS}


def test_unchanged_is_bit_identical(ended, tmp_path):
    resumed(tmp_path, ended / 'iter_2.pth')
    assert_equal(state(tmp_path / 'iter_4.pth'), state(ended / 'iter_4.pth'))


def test_a_checkpoint_without_record_is_as_the_config_says(ended, tmp_path):
    """Of an older version: the schedule made anew stands where the saved one stood."""
    checkpoint = torch.load(ended / 'iter_2.pth', weights_only=True)
    del checkpoint['meta']['run']
    torch.save(checkpoint, tmp_path / 'old.pth')
    resumed(tmp_path, tmp_path / 'old.pth')
    assert_equal(state(tmp_path / 'iter_4.pth'), state(ended / 'iter_4.pth'))


SCHEDULES = {
    'longer': {},
    'other power': {'param_scheduler__1__power': 2.0},
    'longer warm-up': {'param_scheduler__0__end': 3, 'param_scheduler__1__begin': 3},
    'lower rate': {'optim_wrapper__optimizer__lr': 0.01},
    'cosine': {'param_scheduler': [dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-3)]},
    'steps': {'param_scheduler': [dict(type='MultiStepLR', by_epoch=False, milestones=[3, 6], gamma=0.5)]},
    'one cycle': {'param_scheduler': [dict(type='OneCycleLR', by_epoch=False, eta_max=0.1, total_steps=9)]},
    'momentum': {'param_scheduler': [dict(type='LinearMomentum', by_epoch=False, start_factor=0.5, end=7)]},
    'none': {'param_scheduler': None},
    'decay': {'optim_wrapper__optimizer__weight_decay': 0.1, 'optim_wrapper__optimizer__momentum': 0.5},
    'groups': {'optim_wrapper__optimizer__lr': 0.05},
}


@pytest.mark.parametrize('kind', SCHEDULES)
def test_schedule_and_settings_are_those_of_the_config(kind, ended, tmp_path):
    """They equal those of a run that had this config from the first iteration on, to the last bit."""
    changes = SCHEDULES[kind]
    source = ended
    if kind == 'groups':  # one group a parameter
        changes = {**changes, 'optim_wrapper__paramwise_cfg': dict(norm_decay_mult=0.0),
                   'optim_wrapper__optimizer__weight_decay': 0.1}
        source = tmp_path / 'source'
        build(source, 4, **{**changes, 'optim_wrapper__optimizer__lr': 0.1}).train()
    build(tmp_path / 'whole', 8, **changes).train()
    resumed(tmp_path / 'resumed', source / 'iter_4.pth', 8, **changes)
    for name in ('iter_6.pth', 'iter_8.pth'):
        one, other = (state(tmp_path / run / name) for run in ('resumed', 'whole'))
        assert_equal(one['optimizer']['param_groups'], other['optimizer']['param_groups'])
        assert_equal(one['param_schedulers'], other['param_schedulers'])


class Rates(Hook):
    """Writes down each iteration's learning rate."""
    priority = 'VERY_LOW'

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])


def test_a_longer_training_does_not_train_at_zero(ended, tmp_path):
    runner = build(tmp_path, 8, resume=True, load_from=str(ended / 'iter_4.pth'))
    hook = Rates()
    runner.register_hook(hook)
    runner.train()
    assert len(hook.rates) == 4 and all(rate > 0 for rate in hook.rates[:-1])


@pytest.mark.parametrize('changes, key', [
    ({'model__backbone__binarizer': 'BNN'}, 'model.backbone.binarizer'),
    ({'model__decode_head__label_smoothing': 0.1}, 'model.decode_head.label_smoothing'),
    ({'train_dataloader__batch_size': 2}, 'train_dataloader.batch_size'),
    ({'train_dataloader__dataset__dataset__number': 9}, 'images of the training set is 9 and was 12'),
    ({'train_dataloader__dataset__dataset__classes': 'abd'}, 'train_dataloader.dataset.dataset.classes'),
    ({'randomness__seed': 1}, 'randomness.seed is 1 and was 0'),
    ({'optim_wrapper__optimizer': ConfigDict(type='Adam', lr=0.1, _delete_=True)}, "is 'Adam' and was 'SGD'"),
    ({'optim_wrapper__paramwise_cfg': dict(bias_lr_mult=2.0)}, 'groups and tensors of optim_wrapper.opt'),
    ({'train_cfg': dict(type='IterBasedTrainLoop', max_iters=4)}, 'train_cfg.type'),
    ({'iterations': 3}, 'the training ends at iteration 3 and was at 4')])
def test_another_run_is_refused(changes, key, ended, tmp_path):
    with pytest.raises(CheckpointError, match='is of another run') as error:
        resumed(tmp_path, ended / 'iter_4.pth', **changes)
    assert key in str(error.value) and f'load_from={ended / "iter_4.pth"}' in str(error.value)
    assert not [*tmp_path.glob('*.pth')]


def test_averages_are_not_taken_for_weights(tmp_path):
    build(tmp_path, custom_hooks=[dict(type='EMAHook')]).train()
    with pytest.raises(CheckpointError, match='no EMAHook'):
        resumed(tmp_path, tmp_path / 'iter_2.pth')


def test_a_schedule_by_metrics_goes_on_but_cannot_change(tmp_path):
    """Its state follows from past validations."""
    plateau = {'param_scheduler': [dict(type='ReduceOnPlateauLR', by_epoch=True, monitor='accuracy/top1')],
               'train_cfg': dict(type='EpochBasedTrainLoop', max_epochs=2, _delete_=True),
               'train_dataloader__sampler': dict(type='DefaultSampler', shuffle=True, _delete_=True),
               'default_hooks__checkpoint__by_epoch': True, 'default_hooks__checkpoint__interval': 1}
    build(tmp_path, **plateau).train()
    resumed(tmp_path / 'same', tmp_path / 'epoch_1.pth', **plateau)
    assert (tmp_path / 'same/epoch_2.pth').is_file()
    with pytest.raises(CheckpointError, match='optimizer.lr is 0.01 and was 0.1, but a scheduler'):
        resumed(tmp_path / 'other', tmp_path / 'epoch_1.pth', **plateau, optim_wrapper__optimizer__lr=0.01)


def test_epochs_count_as_well(tmp_path):
    """A loop that counts epochs, with one scheduler of each kind."""
    changes = {'param_scheduler': [dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=2),
                                   dict(type='MultiStepLR', by_epoch=True, milestones=[2, 3], gamma=0.5)],
               'train_dataloader__sampler': dict(type='DefaultSampler', shuffle=True, _delete_=True),
               'default_hooks__checkpoint__by_epoch': True, 'default_hooks__checkpoint__interval': 1}
    loop = {epochs: dict(type='EpochBasedTrainLoop', max_epochs=epochs, _delete_=True) for epochs in (1, 4)}
    build(tmp_path, train_cfg=loop[1], **changes, optim_wrapper__optimizer__lr=1.0).train()
    build(tmp_path / 'whole', train_cfg=loop[4], **changes).train()
    resumed(tmp_path / 'resumed', tmp_path / 'epoch_1.pth', train_cfg=loop[4], **changes)
    one, other = (state(tmp_path / run / 'epoch_4.pth') for run in ('resumed', 'whole'))
    assert_equal(one['optimizer']['param_groups'], other['optimizer']['param_groups'])
    assert_equal(one['param_schedulers'], other['param_schedulers'])


@pytest.mark.parametrize('changes', [
    {'train_dataloader__dataset__dataset__data_root': 'there', 'model__test_cfg': dict(a=1)},
    {'train_dataloader__num_workers': 1, 'val_dataloader__batch_size': 5},
    {'train_cfg__val_interval': 2, 'default_hooks__checkpoint__interval': 4},
    {'model__backbone__init_cfg': dict(type='Kaiming', layer='Conv2d')},
    {'train_cfg__micro_batches': 1}, {'val_dataloader': None, 'val_cfg': None, 'val_evaluator': None}])
def test_what_changes_no_training_may_change(changes, ended, tmp_path):
    resumed(tmp_path, ended / 'iter_2.pth', **changes)
    assert_equal(state(tmp_path / 'iter_4.pth'), state(ended / 'iter_4.pth'))


@pytest.mark.parametrize('changes', [
    {'optim_wrapper__optimizer__lr': 1e-3}, {'optim_wrapper__clip_grad': dict(max_norm=1)},
    {'param_scheduler__0__end': 3, 'param_scheduler__1__begin': 3}, {'optim_wrapper__type': 'OptimWrapper'}])
def test_what_the_error_about_nan_advises(changes, tmp_path):
    """A lower rate, clipping, a longer warm-up, no mixed precision: each is what the resumed run does."""
    build(tmp_path, optim_wrapper__type='cmim_mm.CPUAmpOptimWrapper').train()
    kept = {'optim_wrapper__type': 'cmim_mm.CPUAmpOptimWrapper', **changes}
    runner = resumed(tmp_path / 'again', tmp_path / 'iter_2.pth', **kept)
    wrapper = runner.optim_wrapper
    assert type(wrapper).__name__ == kept['optim_wrapper__type'].rpartition('.')[2]
    assert wrapper.clip_grad_kwargs == ({'max_norm': 1} if 'optim_wrapper__clip_grad' in changes else None)
    rate = changes.get('optim_wrapper__optimizer__lr', 0.1)
    assert wrapper.param_groups[0]['initial_lr'] == rate
    assert runner.iter == 4


def test_float16_state_enters_plain_training(ended, tmp_path):
    """A gradient scaler's state, which AmpOptimWrapper saves on a GPU, is no hindrance without --amp."""
    checkpoint = torch.load(ended / 'iter_2.pth', weights_only=True)
    checkpoint['optimizer']['loss_scaler'] = {'scale': 65536.0, 'growth_factor': 2.0}
    torch.save(checkpoint, tmp_path / 'amp.pth')
    resumed(tmp_path, tmp_path / 'amp.pth')
    assert_equal(state(tmp_path / 'iter_4.pth')['state_dict'], state(ended / 'iter_4.pth')['state_dict'])


def loading_only(ended, kind, tmp_path):
    if kind == 'best':
        return next(ended.glob('best_*'))
    checkpoint = torch.load(ended / 'iter_2.pth', weights_only=True)
    left_out = {'weights': {'meta', 'message_hub', 'optimizer', 'param_schedulers'},
                'no optimizer': {'optimizer'}, 'no schedulers': {'param_schedulers'}}[kind]
    torch.save({key: checkpoint[key] for key in checkpoint.keys() - left_out}, tmp_path / 'part.pth')
    return tmp_path / 'part.pth'


@pytest.mark.parametrize('kind', ['best', 'weights', 'no optimizer', 'no schedulers'])
def test_made_for_loading_is_not_for_resuming(kind, ended, tmp_path):
    path = loading_only(ended, kind, tmp_path)
    work_dir = tmp_path / 'work'
    shutil.copytree(ended, work_dir)
    with pytest.raises(CheckpointError, match='made for loading, not for resuming') as error:
        resumed(work_dir, path)
    assert f'Resume from {work_dir / "iter_4.pth"}' in str(error.value)
    assert f'load_from={path}' in str(error.value)
    build(tmp_path / 'new', load_from=str(path)).train()  # as it advises


def test_a_moved_and_a_copied_folder_resume_from_their_own_file(ended, tmp_path):
    for name, move in (('copy', shutil.copytree), ('moved', shutil.move)):
        there = tmp_path / name
        move(tmp_path / 'copy' if name == 'moved' else ended, there)
        runner = build(there, 4, resume=True)
        runner.train()
        assert runner._load_from == str(there / 'iter_4.pth') and runner.iter == 4


def test_a_moved_folder_keeps_one_best(ended, tmp_path):
    shutil.copytree(ended, tmp_path / 'copy')
    checkpoint = torch.load(tmp_path / 'copy/iter_4.pth', weights_only=True)
    checkpoint['message_hub']['runtime_info']['best_score'] = -1.0
    torch.save(checkpoint, tmp_path / 'copy/iter_4.pth')
    build(tmp_path / 'copy', 8, resume=True, train_cfg__val_interval=8,
          default_hooks__checkpoint__save_best='accuracy/top1').train()
    assert [path.name for path in (tmp_path / 'copy').glob('best_*')] == ['best_accuracy_top1_iter_8.pth']
    assert len([*ended.glob('best_*')]) == 1


def test_a_pointer_to_nothing_is_named(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/gone/iter_4.pth')
    (tmp_path / 'iter_2.pth').touch()
    with pytest.raises(CheckpointError, match=r'names /gone/iter_4\.pth.*There are iter_2\.pth'):
        build(tmp_path, resume=True).train()


def test_without_a_checkpoint_it_starts(tmp_path):
    runner = build(tmp_path, resume=True)
    runner.train()
    assert runner.iter == 4


@pytest.mark.parametrize('changes, message', [
    ({'train_cfg__max_iters': 8},
     r'0 from param_scheduler\.1\.end=4 on, but train_cfg\.max_iters=8.*set param_scheduler\.1\.end=8'),
    ({'param_scheduler': [dict(type='CosineAnnealingLR', T_max=4)]}, 'counts epochs.*by_epoch=False'),
    ({'param_scheduler': [dict(type='LinearLR', by_epoch=False, start_factor=1, end_factor=0, end=3)]},
     r'param_scheduler\.0\.end=3')])
def test_a_schedule_that_ends_before_the_training_is_refused(changes, message, tmp_path):
    with pytest.raises(ScheduleError, match=message):
        build(tmp_path, 4, **changes).train()


def test_a_schedule_that_ends_above_zero_may_end_early(tmp_path):
    build(tmp_path, 4, train_cfg__max_iters=6, param_scheduler__1__eta_min=0.01).train()


def test_weights_of_another_model_are_refused_or_named(ended, tmp_path, monkeypatch):
    torch.save({'state_dict': {'encoder.weight': torch.ones(1)}}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='none of its weights fits the ImageClassifier'):
        build(tmp_path, load_from=str(tmp_path / 'other.pth')).train()
    weights = state(ended / 'iter_4.pth')['state_dict']
    torch.save({'state_dict': {k: v for k, v in weights.items() if 'decode_head' not in k}},
               tmp_path / 'encoder.pth')
    runner = build(tmp_path, load_from=str(tmp_path / 'encoder.pth'))
    said = []
    monkeypatch.setattr(runner.logger, 'warning', said.append)
    runner.train()
    assert any('2 missing: decode_head.fc.bias, decode_head.fc.weight' in text for text in said)
