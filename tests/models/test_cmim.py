"""CMIM piled on any model: by a config's type, and by a function."""
import pytest
import torch
from cmim_models import HEAD, build, images, samples, step, write_teacher

from cmim_mm.binarize import set_progress
from cmim_mm.models import Bank, CMIMHead, ContrastiveMINeck, add_cmim
from cmim_mm.models.teacher import full_precision_twin
from cmim_mm.registry import MODELS

pytestmark = pytest.mark.usefixtures('mmseg_scope')
FCN = dict(type='FCNHead', in_channels=8, in_index=0, channels=4, num_convs=1, num_classes=4,
           align_corners=False)
SEGMENTOR = dict(
    type='EncoderDecoder', backbone=dict(type='cmim_mm.BinaryResNet', depth=20),
    neck=dict(type='FPN', in_channels=[16, 32, 64], out_channels=8, num_outs=3), decode_head=FCN,
    auxiliary_head=dict(FCN, in_index=1), train_cfg=None, test_cfg=dict(mode='whole'))


def piled(cfg, **cmim):
    return dict(cfg, type='cmim_mm.CMIM', on=cfg['type'], **cmim)


@pytest.mark.parametrize('heads', ['none', 'one', 'list'])
def test_neck_and_heads_stay_with_their_keys_and_their_start(heads):
    cfg = dict(SEGMENTOR)
    head = cfg['auxiliary_head']
    cfg['auxiliary_head'] = dict(none=None, one=head, list=[head])[heads]
    models = []
    for model in (cfg, piled(cfg, cmim=dict(head=dict(memory=dict(type='InBatch'))))):
        torch.manual_seed(0)
        models.append(MODELS.build(model))
    plain, cmim = models
    assert type(plain) is type(cmim) and type(cmim.neck) is ContrastiveMINeck
    state = cmim.state_dict()
    assert all(torch.equal(state[name], value) for name, value in plain.state_dict().items())
    added = state.keys() - plain.state_dict().keys()
    assert added and all(n.startswith(('neck.binary', 'neck.latent', 'auxiliary_head')) for n in added)
    fresh = MODELS.build(piled(cfg, cmim=dict(head=dict(memory=dict(type='InBatch')))))
    fresh.load_state_dict(state)
    assert torch.equal(fresh.neck.inner.fpn_convs[0].conv.weight, plain.neck.fpn_convs[0].conv.weight)
    for model in models:
        model.eval()
    with torch.no_grad():
        assert torch.equal(cmim(images()), plain(images()))
    from test_cmim_head import dense_samples
    cmim.train()
    set_progress(cmim, 0)
    log = step(cmim, torch.randn(2, 3, 16, 24), dense_samples())
    assert [name for name in log if name.endswith('loss_cmim')] == [
        'aux.loss_cmim' if heads == 'none' else 'aux_1.loss_cmim']
    assert ('aux_0.loss_ce' in log) == (heads != 'none')


@pytest.mark.parametrize('backbone, taps, widths', [
    (dict(type='cmim_mm.BinaryResNet', depth=50), (0, -1), [64, 512]),
    (dict(type='cmim_mm.BinaryVGG'), -1, [512]),
    (dict(type='cmim_mm.BinaryResNet', depth=18), 'layer3.1.conv1', [256])])
def test_widths_are_read_from_the_model(backbone, taps, widths):
    model = add_cmim(MODELS.build(dict(type='cmim_mm.ImageClassifier', backbone=backbone, decode_head=HEAD)),
                     taps, dict(dim=24))
    for side in (model.neck.binary, model.neck.latent):
        assert [layer.weight.shape for layer in side] == [(24, width) for width in widths]
    assert [memory.dim for memory in model.auxiliary_head.memories] == [24] * len(widths)
    assert model.auxiliary_head.tap_weights == (1.0, ) * len(widths)


def test_two_taps_have_memories_of_their_own():
    model = build(head=dict(tap_weights=[0.25, 2.0]), taps=(1, 2))
    step(model)
    one, other = model.auxiliary_head.memories
    assert one.steps == 1 and not torch.equal(one.latent, other.latent)
    assert [memory.origin['layer'] for memory in (one, other)] == ['layer2.5.conv1', 'layer3.5.conv1']


@pytest.mark.parametrize('task', ['EncoderDecoder', 'cmim_mm.ImageClassifier'])
def test_teacher_is_the_full_precision_twin(task, tmp_path):
    cfg = dict(SEGMENTOR, type=task) if task == 'EncoderDecoder' else dict(
        type=task, decode_head=HEAD, backbone=dict(type='cmim_mm.BinaryResNet', depth=20, block='react'))
    twin = full_precision_twin(cfg)
    torch.save(MODELS.build(twin).state_dict(), tmp_path / 'twin.pth')
    teacher = dict(checkpoint=str(tmp_path / 'twin.pth'))
    model = MODELS.build(piled(cfg, teacher=teacher, cmim=dict(neck=dict(latent=dict(type='Teacher')))))
    model.init_weights()
    network = model.neck.source.teacher.model
    assert not any('binarizer' in name for name, _ in network.named_modules())
    width = 8 if task == 'EncoderDecoder' else 64  # behind the neck, where there is one
    assert model.neck.latent[0].weight.shape == (128, width)
    assert model.neck.binary[0].weight.shape == (128, 64)


def test_every_option_goes_to_one_place_or_is_an_error():
    with pytest.raises(TypeError, match='loss_weight'):
        MODELS.build(piled(SEGMENTOR, cmim=dict(loss_weight=1)))
    with pytest.raises(TypeError, match='pooling'):
        MODELS.build(piled(SEGMENTOR, cmim=dict(head=dict(pooling='avg'))))
    with pytest.raises(TypeError, match='cmim'):
        MODELS.build(dict(SEGMENTOR, cmim=dict()))
    with pytest.raises(ValueError, match='2 tap_weights for 1 contrasts, one for each tap'):
        MODELS.build(piled(SEGMENTOR, cmim=dict(head=dict(tap_weights=(1, 1)))))
    with pytest.raises(ValueError, match="nothing reads model.teacher; 'EncoderDecoder' has no teacher"):
        MODELS.build(piled(SEGMENTOR, teacher=dict(checkpoint='x')))
    with pytest.raises(ValueError, match='has CMIM already'):
        add_cmim(build())
    with pytest.raises(ValueError, match='ResNetV1c records no latent'):
        add_cmim(MODELS.build(dict(SEGMENTOR, neck=None, backbone=dict(type='ResNetV1c', depth=18))))
    with pytest.raises(ValueError, match='taps has 7; valid are the stages'):
        MODELS.build(piled(SEGMENTOR, cmim=dict(taps=7)))


def test_a_further_memory_is_one_class():
    @MODELS.register_module(force=True)
    class Oldest(Bank):
        """A memory of a user's."""

        def _draw_indices(self):
            return torch.arange(3)

    try:
        model = build(memory=dict(type='Oldest'))
        assert isinstance(model.auxiliary_head, CMIMHead) and step(model, data_samples=samples())['loss'] > 0
    finally:
        MODELS.module_dict.pop('Oldest')


def test_contrast_with_a_teacher_and_labels_of_the_data(tmp_path):
    """A teacher for the contrast leaves the labels as they are."""
    teacher = write_teacher(tmp_path / 'teacher.pth')
    taught = build(dict(latent=dict(type='Teacher')), teacher=teacher)
    assert step(taught)['loss_cls'] == pytest.approx(step(build(cmim=False))['loss_cls'], rel=1e-6)
