"""The neck: what it embeds, what trains, what runs."""
import copy

import pytest
import torch
import torch.nn.functional as F
from cmim_models import BATCH, build, gradients, images, samples, step, write_teacher
from mmengine.optim import build_optim_wrapper

from cmim_mm.models import ContrastiveMINeck
from cmim_mm.models.features import Features
from cmim_mm.models.necks.views import MovingAverage
from cmim_mm.registry import MODELS

pytestmark = pytest.mark.usefixtures('mmseg_scope')


def record(channels=4, size=(4, 6), n=3):
    torch.manual_seed(0)
    latent = torch.randn(n, channels, *size, requires_grad=True)
    return Features([latent], pairs=[(latent, latent.sign())], tap_names=('tap', ),
                    inputs=torch.randn(n, 3, 8, 8))


def test_embedding_is_linear_and_normalized():
    features, neck = record(), ContrastiveMINeck([4], dim=5, standardize=False)
    (found, ) = neck(features).embeddings
    latent, binary = features.pairs[0]
    for side, z, layer in ((latent, found.latent, neck.latent[0]), (binary, found.binary, neck.binary[0])):
        expected = F.normalize(F.linear(side.mean((2, 3)), layer.weight, layer.bias))
        torch.testing.assert_close(z[:, 0], expected)
    assert found.name == 'tap' and found.grid is None
    assert not torch.equal(neck.latent[0].weight, neck.binary[0].weight)


def test_standardized_input_has_no_common_mean():
    features, neck = record(n=64), ContrastiveMINeck([4], dim=5)
    (latent, _), layer = features.pairs[0], neck.latent[0]
    x = latent.mean((2, 3))
    x = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
    expected = F.normalize(F.linear(x, layer.weight, layer.bias))
    torch.testing.assert_close(neck(features).embeddings[0].latent[:, 0], expected)


def test_poolings():
    features = record()
    flat = ContrastiveMINeck([4], dim=5, pooling='flatten', grid=(4, 6), standardize=False)
    latent = features.pairs[0][0]
    expected = F.normalize(F.linear(latent.flatten(1), flat.latent[0].weight, flat.latent[0].bias))
    torch.testing.assert_close(flat(features).embeddings[0].latent[:, 0], expected)

    spatial = ContrastiveMINeck([4], dim=5, pooling='spatial', grid=(2, 3), standardize=False)
    (found, ) = spatial(features).embeddings
    assert found.latent.shape == (3, 6, 5) and found.grid == (2, 3)
    cell = latent[:, :, 2:4, 2:4].mean((2, 3))  # row 1, column 1: position 4
    expected = F.normalize(F.linear(cell, spatial.latent[0].weight, spatial.latent[0].bias))
    torch.testing.assert_close(found.latent[:, 4], expected)
    with pytest.raises(ValueError, match=r'grid=\(4, 6\), but the binary activation is \(5, 6\)'):
        flat(record(size=(5, 6)))


@pytest.mark.parametrize('trained', [True, False])
def test_embeddings_are_in_the_optimizer_or_not(trained):
    model = build(neck=dict(trained=trained))
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    held = {id(p) for group in wrapper.param_groups for p in group['params']}
    layers = [model.neck.binary[0], model.neck.latent[0]]
    assert [id(x.weight) in held for x in layers] == [trained] * 2
    assert [id(x.bias) in held for x in layers] == [trained] * 2
    before = [x.weight.clone() for x in layers]
    model.train_step(dict(inputs=images(), data_samples=samples()), wrapper)
    assert [torch.equal(x.weight, b) for x, b in zip(layers, before)] == [not trained] * 2
    keys = {k for k in model.state_dict() if k.startswith('neck.')}
    assert keys == {f'neck.{s}.0.{k}' for s in ('binary', 'latent') for k in ('weight', 'bias')}


@pytest.mark.parametrize('options, again', [
    ({}, 0), (dict(pooling='flatten', grid=(4, 4)), 0), (dict(two_views=True), 1),
    (dict(latent_momentum=0.9), 1),
    (dict(two_views=True, detach='latent'), 1), (dict(two_views=True, latent_momentum=0.9), 1)])
def test_encoder_runs_once_a_step(options, again):
    model, calls = build(neck=options), []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))
    log = step(model)
    assert len(calls) == 1 + again and torch.isfinite(torch.tensor(log['loss']))
    # The second pass is none of the batch norms' business.
    assert model.backbone.bn1.num_batches_tracked == 1
    model.eval()
    with torch.no_grad():
        model(images(), mode='predict')
    assert len(calls) == 2 + again


def test_detached_side_gets_no_gradient():
    features = record()
    latent, _ = features.pairs[0]
    binary = torch.randn_like(latent, requires_grad=True)
    features.pairs[0] = latent, binary
    for detach, expected in ((None, (True, True)), ('latent', (False, True)), ('binary', (True, False))):
        neck = ContrastiveMINeck([4], dim=5, detach=detach)
        (found, ) = neck(features).embeddings
        latent.grad = binary.grad = None
        (found.latent * found.binary.flip(0)).sum().backward()
        assert (latent.grad is not None, binary.grad is not None) == expected
        assert neck.latent[0].weight.grad.abs().sum() > 0


def test_hands_features_through_in_eval_mode():
    features = record()
    neck = ContrastiveMINeck([4], dim=5).eval()
    assert neck(features) is features
    inner = dict(type='FPN', in_channels=[4], out_channels=7, num_outs=1)
    neck = ContrastiveMINeck([4], dim=5, inner=inner)
    assert neck(features)[0].shape[1] == 7 and neck(features).embeddings
    maps = neck.eval()(features)
    assert maps[0].shape[1] == 7 and not hasattr(maps, 'embeddings')


def test_other_parts_start_as_without_it():
    plain, cmim = build(cmim=False).state_dict(), build().state_dict()
    assert {k for k in cmim if k.startswith(('backbone.', 'decode_head.'))} == set(plain)
    assert all(torch.equal(cmim[k], plain[k]) for k in plain)


def test_teacher_gives_the_latent_side(tmp_path):
    teacher = write_teacher(tmp_path / 'teacher.pth')
    model = build(neck=dict(teacher=teacher, trained=False))
    seen = []
    model.neck.latent[0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    step(model)
    twin = MODELS.build(teacher)
    twin.init_weights()
    expected = twin(images()).features[-1].mean((2, 3))
    torch.testing.assert_close(seen[0][:, 0], expected)
    assert not seen[0].requires_grad and not model.neck.teacher.model.training
    assert not any('teacher' in k for k in [*model.state_dict(), *dict(model.named_parameters())])
    assert gradients(model.backbone)['conv1.weight'].abs().sum() > 0


def test_feature_maps_in_place_of_activations(tmp_path):
    teacher = write_teacher(tmp_path / 'teacher.pth')
    model, seen = build(neck=dict(teacher=teacher, trained=False, feature_indices=(-1, ))), []
    model.neck.binary[0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    log = step(model)
    assert seen[0].abs().unique().numel() > 2 and 'aux.nce.feature-1' in log


def test_moving_average_follows_and_resumes():
    model = build(neck=dict(latent_momentum=0.5), memory=BATCH)
    first = model.backbone.conv1.weight.detach().clone()
    step(model)
    with torch.no_grad():
        model.backbone.conv1.weight.add_(1.0)
    state = copy.deepcopy(model.state_dict())
    average = state['neck.average.conv1/weight']
    torch.testing.assert_close(average, first)
    again = build(neck=dict(latent_momentum=0.5), memory=BATCH)
    again.load_state_dict(state)
    logs = [step(m) for m in (model, again)]
    assert logs[0] == logs[1]
    torch.testing.assert_close(again.neck.average._buffers['conv1/weight'], first + 0.5)
    with pytest.raises(ValueError, match='latent_momentum=1'):
        MovingAverage(1)


@pytest.mark.parametrize('arguments, message', [
    (dict(pooling='max'), "pooling='max' is unknown; valid are 'avg'"),
    (dict(detach='both'), "detach='both'"),
    (dict(pooling='flatten'), 'need grid'),
    (dict(pooling='spatial', grid=(2, 2), two_views=True), 'two_views with'),
    (dict(feature_indices=(-1, )), 'needs a teacher'),
])
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveMINeck([4], **arguments)


def test_missing_taps_and_wrong_widths_are_named():
    neck = ContrastiveMINeck([6], dim=5)
    with pytest.raises(ValueError, match='set model.backbone.taps'):
        neck([torch.ones(1)])
    with pytest.raises(ValueError, match='in_channels gives 6 features, but the binary activation has 4'):
        neck(record())
    with pytest.raises(ValueError, match='1 binary activations for 2 in_channels'):
        ContrastiveMINeck([4, 4], dim=5)(record())
