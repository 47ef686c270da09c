"""A batch in parts: one step of the optimizer an iteration, on the same gradient."""
import pytest
import torch
from mmengine.hooks import Hook
from test_loop import assert_equal
from tiny_run import build

from cmim_mm.engine.cli import expected_message
from cmim_mm.engine.micro_batch import mean_outputs, split_batch


@pytest.mark.parametrize('batch, parts', [
    (torch.arange(4), [torch.arange(2), torch.arange(2, 4)]),
    ({'inputs': [1, 2, 3, 4], 'data_samples': ['a', 'b', 'c', 'd']},
     [{'inputs': [1, 2], 'data_samples': ['a', 'b']}, {'inputs': [3, 4], 'data_samples': ['c', 'd']}]),
    ({'inputs': torch.arange(4), 'gt': {'depth': [1, 2, 3, 4]}},
     [{'inputs': torch.arange(2), 'gt': {'depth': [1, 2]}},
      {'inputs': torch.arange(2, 4), 'gt': {'depth': [3, 4]}}])])
def test_splits_along_the_images(batch, parts):
    assert_equal(split_batch(batch, 2), parts)
    assert split_batch(batch, 1)[0] is batch


def test_logs_the_mean():
    outputs = [{'loss': torch.tensor(1.0), 'acc': 3}, {'loss': torch.tensor(2.0), 'acc': 4}]
    assert mean_outputs(outputs) == {'loss': torch.tensor(1.5), 'acc': torch.tensor(3.5)}


class Steps(Hook):
    """Counts the optimizer's steps and the images that the network saw."""

    def before_train(self, runner):
        self.steps, self.images = 0, []
        runner.optim_wrapper.optimizer.register_step_post_hook(self.step)
        runner.model.register_forward_pre_hook(self.see, with_kwargs=True)

    def step(self, *_):
        self.steps += 1

    def see(self, module, args, kwargs):
        if module.training:
            self.images.append(len(kwargs['inputs']))


def train(work_dir, freeze_norm=False, iterations=4, **changes):
    runner = build(work_dir, iterations, **changes)
    if freeze_norm:  # a batch norm sees a part at a time, which is the one difference
        for module in runner.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train = lambda mode=True, module=module: module
                module.training = False
    hook = Steps()
    runner.register_hook(hook)
    runner.train()
    return runner, hook


@pytest.mark.parametrize('parts', [2, 4])
def test_as_many_steps_and_images_as_with_the_whole_batch(parts, tmp_path):
    runner, hook = train(tmp_path, train_cfg__micro_batches=parts)
    assert hook.steps == 4 and hook.images == [4 // parts] * 4 * parts
    assert runner.optim_wrapper.param_groups[0]['lr'] == 0  # the schedule has ended with the training


def test_the_gradient_is_that_of_the_whole_batch(tmp_path):
    """Weights agree to rounding, where batch norms do not look at the batch and crops are the same."""
    changes = dict(model__data_preprocessor__flip=False, model__data_preprocessor__crop_padding=0,
                   model__backbone__binarizer=None, freeze_norm=True, iterations=3)
    whole, _ = train(tmp_path / '1', **changes)
    parts, _ = train(tmp_path / '2', **changes, train_cfg__micro_batches=2)
    before = build(tmp_path / '0', model__backbone__binarizer=None).model.state_dict()
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(parts.model.state_dict()[name], value, rtol=1e-3, atol=1e-5, msg=name)
    assert not torch.equal(before['decode_head.fc.weight'], whole.model.state_dict()['decode_head.fc.weight'])


def test_accumulation_adds_to_it(tmp_path):
    _, hook = train(tmp_path, train_cfg__micro_batches=2, optim_wrapper__accumulative_counts=2)
    assert hook.steps == 2 and hook.images == [2] * 8


def test_may_begin_in_a_resumed_run(tmp_path):
    build(tmp_path).train()
    _, hook = train(tmp_path, iterations=8, resume=True, train_cfg__micro_batches=2)
    assert hook.steps == 4 and hook.images == [2] * 8


def test_must_divide_the_batch(tmp_path):
    with pytest.raises(ValueError, match='does not divide train_dataloader.batch_size=4') as error:
        build(tmp_path, train_cfg__micro_batches=3).train()
    assert 'micro_batches=3' in expected_message(error.value)


def test_plain_accumulation_says_what_it_does(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('cmim_mm.engine.loop.print_log', lambda message, *args: said.append(message))
    _, hook = train(tmp_path, optim_wrapper__accumulative_counts=2)
    assert hook.steps == 2 and 'train_cfg.micro_batches' in said[0]


def test_out_of_memory_advises_it():
    message = expected_message(torch.OutOfMemoryError('CUDA out of memory. Tried 2 GiB.\nMore'))
    assert message.startswith('CUDA out of memory. Tried 2 GiB. ') and 'micro_batches=2' in message
