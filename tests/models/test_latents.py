"""Where a_F comes from: one contract for all sources, then each by what it must be."""
import copy

import pytest
import torch
from cmim_models import BATCH, TAP, build, gradients, images, samples, step, write_teacher
from mmengine.model.averaged_model import ExponentialMovingAverage

from cmim_mm.models import LatentSource, LaterLayer, MovingAverage, SamePass, SecondView, Teacher
from cmim_mm.models.latents.encode import View
from cmim_mm.registry import MODELS

pytestmark = pytest.mark.usefixtures('mmseg_scope')
SOURCES = sorted(name for name, part in MODELS.module_dict.items()
                 if isinstance(part, type) and issubclass(part, LatentSource))
#: How often the encoder runs in a step, whether the latent side has a gradient.
FACTS = dict(SamePass=(1, True), LaterLayer=(1, True), SecondView=(2, True), MovingAverage=(2, False),
             Teacher=(1, False))


@pytest.fixture
def teacher(tmp_path):
    return write_teacher(tmp_path / 'teacher.pth')


def model_with(latent, teacher=None, **more):
    needs = latent if isinstance(latent, str) else latent['type']
    latent = dict(type=latent) if isinstance(latent, str) else latent
    teacher = teacher if needs == 'Teacher' else None
    if needs == 'LaterLayer':
        more['taps'] = ('layer2.5.conv1', 'layer3.5.conv1')
    return build(dict(latent=latent, **more.pop('neck', {})), teacher=teacher, **more)


def sides(model):
    """Both sides of the first tap in a step on ``images()``."""
    found = []
    handle = model.neck.source.register_forward_hook(lambda _, x, y: found.extend(y))
    model.extract_feat(images())
    handle.remove()
    return found[0]


def test_each_source_is_known_here():
    assert set(SOURCES) == set(FACTS)


@pytest.mark.parametrize('latent', SOURCES)
def test_contract(latent, teacher):
    runs, has_gradient = FACTS[latent]
    model, calls = model_with(latent, teacher), []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))
    log = step(model)
    assert len(calls) == runs and log['aux.loss_cmim'] > 0
    assert model.backbone.bn1.num_batches_tracked == 1  # further passes are none of its business
    assert gradients(model.backbone)['conv1.weight'].abs().sum() > 0
    found = sides(model)
    assert found.name == model.backbone.tap_names[0]
    assert found.binary.unique().numel() == 2 and found.binary.requires_grad
    assert found.latent.requires_grad == has_gradient
    assert not any('teacher' in k for k in [*model.state_dict(), *dict(model.named_parameters())])
    model.eval()
    with torch.no_grad():
        model(images(), mode='predict')
    assert len(calls) == 2 * runs + 1


@pytest.mark.parametrize('latent', ['SamePass', 'MovingAverage', 'Teacher'])
def test_weight_zero_leaves_the_baseline_bit_for_bit(latent, teacher):
    """Three steps of SGD; the sources that draw no random number of their own."""
    models = build(cmim=False), model_with(latent, teacher, head=dict(loss_weight=0))
    for model in models:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            log = step(model)
            optimizer.step()
    assert log['aux.loss_cmim'] == 0 and log[f'aux.nce.{TAP}'] > 0
    plain, control = (model.state_dict() for model in models)
    for name, value in plain.items():
        assert torch.equal(control[name], value), name


@pytest.mark.parametrize('source', [SamePass, SecondView])
def test_detached_side_gets_no_gradient(source):
    for detach, expected in ((None, (True, True)), ('latent', (False, True)), ('binary', (True, False))):
        model = build(dict(latent=dict(type=source.__name__, detach=detach)), memory=BATCH)
        found = sides(model)
        assert (found.latent.requires_grad, found.binary.requires_grad) == expected
    with pytest.raises(ValueError, match="detach='both' is unknown; valid are None, 'latent', 'binary'"):
        source([4], detach='both')


def test_same_pass_is_what_the_convolution_saw():
    model, seen = build(), []
    model.backbone.get_submodule(TAP).register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    found = sides(model)
    assert torch.equal(found.latent, seen[0])
    assert torch.equal(found.binary, model.backbone.get_submodule(TAP).binary_input(seen[0]))


def test_later_layer_is_the_next_tap():
    model = model_with('LaterLayer')
    (_, binary), (latent, _) = model.backbone.train()(images()).pairs
    found = sides(model)
    assert torch.equal(found.latent, latent) and torch.equal(found.binary, binary)
    assert (model.neck.binary[0].features, model.neck.latent[0].features) == (32, 64)
    assert len(model.auxiliary_head.memories) == 1
    with pytest.raises(ValueError, match='one tap has no later one'):
        LaterLayer([64])


def expected_latent(backbone, view):
    """a_F of a view, in training mode."""
    return copy.deepcopy(backbone).train()(view).pairs[0][0]


def test_second_view_is_another_crop_and_flip_in_training_mode():
    model, plain = model_with('SecondView'), model_with('SamePass')
    torch.manual_seed(5)
    view = View()(images())
    expected = expected_latent(model.backbone, view)
    torch.manual_seed(5)
    found = sides(model)
    torch.testing.assert_close(found.latent, expected)
    assert torch.equal(found.binary, sides(plain).binary)
    assert not torch.equal(found.latent, sides(plain).latent)
    ramp = torch.arange(16.0).expand(64, 3, 16, 16)
    views = View()(ramp)
    falls = (views.diff(dim=3).sum((1, 2, 3)) < 0).sum()
    assert 16 < falls < 48 and len({tuple(v[0, 0].tolist()) for v in views}) > 4  # flips, and crops


@pytest.mark.parametrize('source', ['SecondView', 'MovingAverage'])
def test_how_the_second_view_looks_reaches_it(source):
    extra = dict(second_view=True) if source == 'MovingAverage' else {}
    model = model_with(dict(type=source, area_range=(0.3, 0.5), colour=0.2, **extra))
    torch.manual_seed(5)
    expected = expected_latent(model.backbone, View((0.3, 0.5), 0.2)(images()))
    torch.manual_seed(5)
    torch.testing.assert_close(sides(model).latent, expected)


@pytest.mark.parametrize('arguments, message', [
    (dict(area_range=(0.5, 1.5)), r'area_range=\(0.5, 1.5\): expected two numbers, 0 < least'),
    (dict(area_range=(0.5, 0.2)), 'expected two numbers, 0 < least'),
    (dict(area_range=(0.5, )), 'expected two numbers'),
    (dict(colour=2.0), 'colour=2.0: expected 0 <= colour <= 1'),
])
def test_second_view_names_what_does_not_fit(arguments, message):
    for source in (lambda: SecondView([4], **arguments),
                   lambda: MovingAverage([4], second_view=True, **arguments)):
        with pytest.raises(ValueError, match=message):
            source()
    with pytest.raises(ValueError, match='are of a second view; set second_view=True'):
        MovingAverage([4], **arguments)


def test_moving_average_starts_as_the_encoder_and_follows():
    model = model_with(dict(type='MovingAverage', momentum=0.75))
    average, conv = model.neck.source, model.backbone.conv1
    first = conv.weight.detach().clone()
    step(model)
    assert torch.equal(average._buffers['conv1/weight'], first)
    with torch.no_grad():
        conv.weight.add_(1.0)
    twin = copy.deepcopy(model.backbone)
    with torch.no_grad():
        twin.conv1.weight.copy_(first + 0.25)
    expected = expected_latent(twin, images())
    state = copy.deepcopy(model.state_dict())
    torch.testing.assert_close(sides(model).latent, expected)
    torch.testing.assert_close(average._buffers['conv1/weight'], first + 0.25)
    again = model_with(dict(type='MovingAverage', momentum=0.75))
    again.load_state_dict(state)
    torch.testing.assert_close(sides(again).latent, expected)
    average.restart()
    sides(model)
    assert torch.equal(average._buffers['conv1/weight'], conv.weight)


def test_moving_average_has_its_buffers_before_anything_copies_the_model():
    model = model_with('MovingAverage')
    averaged = ExponentialMovingAverage(model, momentum=0.5)
    for _ in range(2):
        step(model)
        averaged.update_parameters(model)
    assert torch.equal(averaged.module.neck.source._buffers['conv1/weight'],
                       model.neck.source._buffers['conv1/weight'])
    with pytest.raises(RuntimeError, match="build the model by type='cmim_mm.CMIM'"):
        MovingAverage([64])._average(model.backbone(images()))
    with pytest.raises(ValueError, match='momentum=1, expected 0 <= momentum < 1'):
        MovingAverage([64], momentum=1)


def test_teacher_gives_its_maps_in_eval_mode(teacher):
    model = model_with('Teacher', teacher)
    found = sides(model)
    with torch.no_grad():
        expected = copy.deepcopy(model.teacher.model).eval().backbone(images())[-1]
    assert torch.equal(found.latent, expected)
    assert not any(m.training for m in model.teacher.model.modules())


def test_encoders_maps_in_place_of_activations(teacher):
    """The binary side is the encoder's last map, with its gradient, even with frozen embeddings."""
    model = model_with(dict(type='Teacher', features=(-1, )), teacher, neck=dict(trained=False))
    found = sides(model)
    assert found.name == 'feature-1' and torch.equal(found.binary, model.backbone(images())[-1])
    losses = model(images(), samples(), mode='loss')
    losses['aux.loss_cmim'].backward()
    assert gradients(model.backbone)['conv1.weight'].abs().sum() > 0
    assert not any(n.startswith('neck') for n in gradients(model))


def test_one_teacher_serves_contrast_and_distillation_and_runs_once(teacher):
    head = dict(type='cmim_mm.ClsHead', in_channels=64, num_classes=3, distill=dict(temperature=2.0))
    model, calls = model_with('Teacher', teacher, decode_head=head), []
    model.teacher.model.backbone.register_forward_hook(lambda *_: calls.append(1))
    log = step(model)
    assert len(calls) == 1 and log['loss_distill'] > 0 and log['aux.loss_cmim'] > 0


def test_a_source_without_what_it_needs_says_so(teacher):
    with pytest.raises(ValueError, match='there is no teacher; set model.teacher'):
        model_with('Teacher')
    with pytest.raises(ValueError, match=r"indices=\(-1,\) for 2 taps"):
        build(dict(latent=dict(type='Teacher')), teacher=teacher, taps=(1, 2))
    with pytest.raises(TypeError, match='detach'):
        Teacher([64], detach='binary')
    with pytest.raises(ValueError, match='nothing reads model.teacher'):
        build(cmim=False, teacher=teacher)
