"""ProbeHook in a training with CMIM: what it writes, and that it changes nothing."""
import json
import math
from pathlib import Path

import pytest
import torch
from tiny_cmim import build_runner, model_cfg

from cmim_mm.binarize import BinaryConv2d
from cmim_mm.engine import ProbeHook
from cmim_mm.evaluation.measure import binary_signs


def scalars(work_dir):
    log = next(work_dir.glob('*/vis_data/scalars.json'))
    records = [json.loads(line) for line in log.read_text().splitlines()]
    return {r['step']: {k[6:]: v for k, v in r.items() if k != 'step'} for r in records
            if any(key.startswith('probe/') for key in r)}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Two Runners after the same training with two taps, the first with probes."""
    model = model_cfg('RBNN', taps=('layer2.5.conv1', -1))
    runners = []
    for name, hooks in (('probed', [{'type': 'cmim_mm.ProbeHook', 'num_images': 10}]), ('plain', [])):
        runners.append(build_runner(tmp_path_factory.mktemp(name), model, hooks=hooks))
        runners[-1].train()
        runners[-1].random_state = torch.get_rng_state()
    return runners


def test_training_is_not_disturbed(trained):
    probed, plain = trained
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, probed.model.state_dict()[name]), name
    momenta = [[state['momentum_buffer'] for state in runner.optim_wrapper.optimizer.state.values()]
               for runner in trained]
    assert len(momenta[0]) == len(momenta[1]) > 20 and all(map(torch.equal, *momenta))
    assert torch.equal(probed.random_state, plain.random_state)
    assert [m.training for m in probed.model.modules()] == [m.training for m in plain.model.modules()]


def test_what_is_written(trained):
    written = scalars(Path(trained[0].work_dir))
    assert sorted(written) == [0, 2, 4]
    layers = ('layer2.5.conv1', 'layer3.5.conv1')
    for step, figures in written.items():
        assert figures['ceiling'] == pytest.approx(math.log(10))
        for layer in layers:
            assert figures[f'bound/{layer}'] <= figures['ceiling']
            assert figures[f'bound_cmim/{layer}'] <= figures['ceiling']
            assert 0 <= figures[f'saturated/{layer}'] <= 100
            assert step or figures[f'saturated/{layer}'] < 50  # Hardtanh's ends are soon all there is
            assert figures[f'knn/{layer}'] * 10 % 100 == pytest.approx(0)
        flips = [name for name in figures if name.startswith('flips/')]
        assert len(flips) == (19 if step else 0)
        assert not step or 0 < figures['flips/total'] <= 100
    # a_B follows from a_F: of these few images the features tell almost everything.
    assert written[0]['bound/layer3.5.conv1'] > 0.5 * math.log(10)
    assert written[0]['majority'] == 40


def test_flips_are_weighed_by_the_size_of_the_layer():
    hook = ProbeHook()
    hook.signs = {'backbone.a': torch.ones(6, dtype=torch.bool), 'head.b': torch.ones(2, dtype=torch.bool)}
    now = {'backbone.a': torch.tensor([True] * 5 + [False]), 'head.b': torch.tensor([False, False])}
    assert hook._flips(now) == pytest.approx({'flips/a': 100 / 6, 'flips/head.b': 100, 'flips/total': 37.5})


def test_interval_and_layers(tmp_path):
    hook = {'type': 'cmim_mm.ProbeHook', 'interval': 3, 'layers': ['layer1.0.conv1'], 'num_images': 4}
    runner = build_runner(tmp_path, hooks=[hook])
    runner.train()
    written = scalars(tmp_path)
    assert sorted(written) == [0, 3]
    bounds = [name for name in written[3] if name.startswith('bound')]
    assert bounds == ['bound/layer1.0.conv1', 'bound_cmim/layer3.5.conv1']


def test_without_binary_layers_it_is_idle_and_without_images_an_error(tmp_path):
    model = model_cfg(None, taps=())
    hook = [{'type': 'cmim_mm.ProbeHook'}]
    build_runner(tmp_path, model, iterations=1, hooks=hook).train()
    assert not scalars(tmp_path)
    with pytest.raises(ValueError, match='no validation images; set val_dataloader'):
        build_runner(tmp_path, model, iterations=1, hooks=hook, val_dataloader=None, val_cfg=None,
                     val_evaluator=None).train()
    with pytest.raises(ValueError, match='num_images=1'):
        ProbeHook(num_images=1)


def test_real_weights_have_no_signs():
    convs = torch.nn.ModuleList(
        BinaryConv2d(2, 2, 3, binarizer=dict(type='ReActNet', real_weights=real)) for real in (True, False))
    signs = binary_signs(convs)
    assert list(signs) == ['1'] and torch.equal(signs['1'], convs[1].weight >= 0)
