"""MemoryFormatHook: every map and weight in one format, values as before, exact in itself."""
import io
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from formats import FORMS, build, forward_backward
from mmengine.optim import OptimWrapper
from torch import nn
from two_ranks import run_two_ranks

from cmim_mm.engine import MemoryFormatHook


@pytest.mark.parametrize('task', ['seg', 'depth'])
@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_no_layer_changes_format_or_type(task, dtype):
    model, seen = build(task), []

    def look(name):
        def hook(module, args, output):
            maps = [x for x in (*args, output) if isinstance(x, torch.Tensor) and x.dim() == 4]
            seen.extend((name, x.is_contiguous(memory_format=torch.channels_last), x.dtype) for x in maps)
        return hook

    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(look(name))
    forward_backward(model, dtype)
    assert len(seen) > 60 and all(last for _, last, _ in seen), [name for name, last, _ in seen if not last]
    # The image and the loss are float32.
    others = {name for name, _, found in seen if found != (dtype or torch.float32)}
    assert others <= {'backbone.conv1', 'decode_head.loss_decode'}


@pytest.mark.parametrize('task', ['seg', 'depth'])
def test_values_are_those_of_the_other_format(task):
    results = []
    for memory_format in ('channels_last', 'contiguous'):
        model = build(task, memory_format, norm_eval=True)
        losses = forward_backward(model)
        # Another order of summation may flip a sign near 0, so gradients agree in norm only.
        results.append((losses, {name: p.grad for name, p in model.decode_head.named_parameters()}))
    (found, gradients), (expected, others) = results
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-4)
    for name, gradient in gradients.items():
        error = (gradient - others[name]).norm() / others[name].norm().clamp_min(1e-6)
        assert error < 0.05, name


@pytest.mark.parametrize('memory_format, dtype', FORMS)
def test_a_resumed_training_is_bit_identical(memory_format, dtype):
    def steps(model, optimizer, seeds):
        for seed in seeds:
            optimizer.zero_grad()
            forward_backward(model, dtype, seed)
            optimizer.step()

    model = build('seg', memory_format)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    steps(model, optimizer, (1, 2))
    file = io.BytesIO()
    torch.save((model.state_dict(), optimizer.state_dict()), file)
    steps(model, optimizer, (3, 4))
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    resumed = build('seg', memory_format)
    resumed.load_state_dict(weights)
    optimizer = torch.optim.Adam(resumed.parameters(), 1e-3, fused=True)
    optimizer.load_state_dict(state)
    steps(resumed, optimizer, (3, 4))
    found, expected = resumed.state_dict(), model.state_dict()
    assert any(not torch.equal(found[name], weights[name]) for name in found)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_ranks_end_with_the_same_weights(tmp_path):
    run_two_ranks(Path(__file__).with_name('formats.py'), str(tmp_path))
    ranks = [torch.load(tmp_path / f'{rank}.pth') for rank in range(2)]
    assert len(ranks[0]) == len(FORMS)
    for form, weights in ranks[0].items():
        assert all(torch.equal(weight, ranks[1][form][name]) for name, weight in weights.items()), form


def test_a_runner_that_trains_and_tests_converts_once():
    model = build('depth', 'contiguous')
    keys = list(model.state_dict())
    model.data_preprocessor._forward_hooks.clear()
    hook = MemoryFormatHook()
    for _ in range(2):
        hook.before_run(SimpleNamespace(model=model))
    assert len(model.data_preprocessor._forward_hooks) == 1
    assert list(model.state_dict()) == keys
    weights = [p for p in model.parameters() if p.dim() == 4]
    assert len(weights) > 20
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)


@pytest.mark.parametrize('kind', ['Adam', 'AdamW', 'SGD'])
@pytest.mark.parametrize('memory_format', ['channels_last', 'contiguous'])
def test_a_training_goes_on_in_the_other_format(kind, memory_format):
    """Fused optimizers on a CPU take moments as they lie in memory."""
    arguments = dict(lr=1e-2, fused=True, **(dict(momentum=0.9) if kind == 'SGD' else {}))

    def start(memory_format):
        model = nn.Module()
        model.conv, model.data_preprocessor = nn.Conv2d(6, 8, 3), nn.Identity()
        optimizer = getattr(torch.optim, kind)(model.parameters(), **arguments)
        runner = SimpleNamespace(model=model, optim_wrapper=OptimWrapper(optimizer))
        hook = MemoryFormatHook(memory_format)
        hook.before_run(runner)
        return runner, hook

    def steps(runner, seeds):
        for seed in seeds:
            runner.optim_wrapper.zero_grad()
            x = torch.randn(2, 6, 5, 5, generator=torch.Generator().manual_seed(seed))
            runner.model.conv(x).square().sum().backward()
            runner.optim_wrapper.step()

    torch.manual_seed(0)
    first, _ = start(memory_format)
    steps(first, (1, 2))
    resumed, hook = start('contiguous' if memory_format == 'channels_last' else 'channels_last')
    resumed.model.load_state_dict(first.model.state_dict())
    resumed.optim_wrapper.load_state_dict(deepcopy(first.optim_wrapper.state_dict()))
    hook.before_train(resumed)
    for runner in (first, resumed):
        steps(runner, (3, 4))
    torch.testing.assert_close(resumed.model.conv.weight, first.model.conv.weight)


def test_an_unknown_format_is_named():
    with pytest.raises(ValueError, match='nhwc.*channels_last, contiguous'):
        MemoryFormatHook('nhwc')
