"""FiniteLossHook: what stops, what is named, what is left to go on from."""
import pytest
import torch
from mmengine.optim import OptimWrapper
from tiny_cmim import build_runner as build_cmim
from torch import nn
from toy_run import ToyDataset, ToyModel, build_runner

from cmim_mm.datasets import SeededDataset
from cmim_mm.engine import NonFiniteError
from cmim_mm.engine.cli import run
from cmim_mm.registry import OPTIM_WRAPPERS

HOOK = [{'type': 'cmim_mm.FiniteLossHook'}]


class Poison(nn.Module):
    """x until the ``at``-th call in training, from then on f(x)."""

    def __init__(self, f, at):
        super().__init__()
        self.f, self.at, self.calls = f, at, 0

    def forward(self, x):
        self.calls += self.training
        return self.f(x) if self.training and self.calls > self.at else x


def train_with(work_dir, poison=None, place=2, **overrides):
    """The error of a training whose ReLU (body.2) is replaced; every parameter must have stayed finite."""
    model = ToyModel()
    if poison:
        model.body[place] = poison
    runner = build_runner(work_dir, hooks=HOOK, model=model, **overrides)
    with pytest.raises(NonFiniteError) as caught:
        runner.train()
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    return str(caught.value)


def test_names_the_layer_the_losses_and_the_checkpoint(tmp_path):
    """Five steps go well, the sixth does not; checkpoints were written at the second and fourth."""
    message = train_with(tmp_path, Poison(lambda x: (x - 100).log(), 5))
    assert message.startswith('iteration 6: ') and 'the output of body.2 (Poison)' in message
    assert 'The step gave loss=nan' in message and 'clip_grad' in message
    assert f'The last good checkpoint is {tmp_path / "iter_4.pth"}' in message
    saved = torch.load(tmp_path / 'iter_4.pth', weights_only=True)['state_dict']
    assert all(value.isfinite().all() for value in saved.values())
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['iter_2.pth', 'iter_4.pth']


def test_data_that_is_not_finite(tmp_path):
    class Bad(ToyDataset):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return {**sample, 'inputs': sample['inputs'] / (index != 3)}

    loader = {'dataset': SeededDataset(Bad()), 'batch_size': 10, 'num_workers': 0,
              'sampler': {'type': 'cmim_mm.ResumableSampler'}}
    message = train_with(tmp_path, train_dataloader=loader)
    assert 'the input of data_preprocessor' in message and 'No checkpoint was saved before' in message


def test_infinite_gradient_of_a_finite_loss(tmp_path):
    """The derivative of sqrt at 0 is infinite; found in the first of two accumulated batches."""
    message = train_with(tmp_path, Poison(lambda x: x + (0 * x).sqrt(), 2))
    assert message.startswith('iteration 4: a gradient is NaN or infinite')
    assert 'the gradient at the output of body.1 (BatchNorm2d)' in message and 'loss=nan' not in message


def test_infinite_loss_with_finite_gradients(tmp_path):
    class Model(ToyModel):
        def forward(self, *args, **kwargs):
            loss = super().forward(*args, **kwargs)['loss']
            return {'loss_near': loss, 'loss_far': torch.tensor(torch.inf)}

    runner = build_runner(tmp_path, hooks=HOOK, model=Model())
    with pytest.raises(NonFiniteError, match='iteration 1: loss, loss_far are NaN.*at: the loss loss_far, '):
        runner.train()


def test_no_checkpoint_of_weights_that_are_not_finite(tmp_path):
    runner = build_runner(tmp_path, hooks=HOOK, iterations=2)
    runner.train()
    with torch.no_grad():
        runner.model.head.weight[0, 0] = torch.inf
    with pytest.raises(NonFiniteError, match=r'parameter head.weight \(1 of 64 values\) is NaN or infinite'):
        runner.save_checkpoint(str(tmp_path), 'bad.pth')
    assert not (tmp_path / 'bad.pth').exists()


@pytest.mark.parametrize('fused', [False, True])
def test_a_step_that_a_grad_scaler_skips_is_no_error(tmp_path, fused, monkeypatch):
    """A fused optimizer is called with the infinite gradients, and skips the step itself."""
    class Scaled(OptimWrapper):
        scaler = torch.amp.GradScaler('cpu', init_scale=2.0**127, growth_interval=1000)

        def backward(self, loss, **kwargs):
            self.scaler.scale(100 * loss).backward(**kwargs)
            self._inner_count += 1

        def step(self, **kwargs):
            self.scaler.step(self.optimizer, **kwargs)
            self.scaler.update()

    monkeypatch.setitem(OPTIM_WRAPPERS.module_dict, 'ScaledForTest', Scaled)
    wrapper = {'type': 'cmim_mm.ScaledForTest', 'optimizer': {'type': 'SGD', 'lr': 0.01, 'fused': fused}}
    build_runner(tmp_path, hooks=HOOK, iterations=4, optim_wrapper=wrapper).train()
    assert Scaled.scaler.get_scale() < 2.0**127


def test_cmim_names_the_tap(tmp_path):
    runner = build_cmim(tmp_path, hooks=HOOK, iterations=2)
    runner.train()
    head = runner.model.auxiliary_head
    head.criteria[0].register_forward_hook(lambda module, inputs, output: output * torch.nan)
    runner = build_cmim(tmp_path / 'again', model=runner.model, hooks=HOOK, iterations=2)
    with pytest.raises(NonFiniteError, match=r'output of auxiliary_head.criteria.0 \(CMIMLoss\).*'
                                             r'aux.nce.layer3.5.conv1=nan'):
        runner.train()


def test_tools_end_with_one_message_and_status_1(capsys):
    def main():
        raise NonFiniteError('iteration 6: it begins at X')

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 1 and capsys.readouterr().err == 'error: iteration 6: it begins at X\n'
