"""The head: what it adds to the losses, in classification, segmentation and depth."""
import math

import numpy as np
import pytest
import torch
from cmim_models import BATCH, build, gradients, images, samples, step
from mmengine.runner import load_checkpoint
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from cmim_mm.binarize import BINARIZERS, set_progress
from cmim_mm.models import CMIMHead
from cmim_mm.models.features import Embedded
from cmim_mm.models.heads.cmim_head import SCHEDULES, infonce_bound, next_of_class
from cmim_mm.models.pretrained import check_weights
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

pytestmark = pytest.mark.usefixtures('mmseg_scope')
OTHERS = dict(memory=dict(other_classes_only=True))


@pytest.mark.parametrize('binarizer', sorted(BINARIZERS.module_dict))
def test_every_binarizer_takes_a_step(binarizer):
    model = build(binarizer=binarizer)
    log = step(model)
    assert all(np.isfinite(v) for v in log.values())
    assert log['loss'] == pytest.approx(log['loss_cls'] + log['aux.loss_cmim'], rel=1e-5)
    assert all(torch.isfinite(g).all() for g in gradients(model).values())


@pytest.mark.parametrize('network, channels', [('BinaryVGG', 512), ('BinaryMobileNet', 1024)])
def test_every_backbone_takes_a_step(network, channels):
    model = MODELS.build(dict(
        type='cmim_mm.ImageClassifier', backbone=dict(type=f'cmim_mm.{network}', taps=(-1, )),
        neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[channels], dim=8),
        decode_head=dict(type='cmim_mm.ClsHead', in_channels=channels, num_classes=3),
        auxiliary_head=dict(type='cmim_mm.CMIMHead', memory=BATCH)))
    assert np.isfinite(step(model, images(size=32))['aux.loss_cmim'])


def test_loss_is_the_weighted_sum_of_both_directions_and_all_taps():
    head = dict(tap_weights=[0.25, 2.0], loss_weight=3.0)
    model = build(dict(in_channels=[32, 64]), head, taps=(1, 2))
    log = step(model)
    taps = [log['aux.nce.layer2.5.conv1'], log['aux.nce.layer3.5.conv1']]
    assert log['aux.loss_cmim'] == pytest.approx(3 * (0.25 * taps[0] + 2 * taps[1]), rel=1e-5)
    assert model.auxiliary_head.memories[0].steps == 1
    assert not torch.equal(*(m.latent for m in model.auxiliary_head.memories))


def test_reaches_the_backbone_from_both_sides():
    for detach in (None, 'latent', 'binary'):
        model = build(neck=dict(detach=detach), memory=BATCH)
        losses = model(images(), samples(), mode='loss')
        losses['aux.loss_cmim'].backward()
        assert gradients(model.backbone)['conv1.weight'].abs().sum() > 0


def test_weight_zero_leaves_the_baseline():
    plain, control = build(cmim=False), build(head=dict(loss_weight=0))
    for model in (plain, control):
        log = step(model)
    assert log['aux.loss_cmim'] == 0 and log['aux.nce.layer3.5.conv1'] > 0
    expected = gradients(plain)
    found = gradients(control)
    assert all(torch.equal(found[k], expected[k]) for k in expected)
    assert all(not found[k].any() for k in found.keys() - expected.keys())
    buffers = dict(control.backbone.named_buffers())
    assert all(torch.equal(b, buffers[k]) for k, b in plain.backbone.named_buffers())


@pytest.mark.parametrize('schedule, expected', [
    ('constant', (1, 1, 1)), ('linear_decay', (1, 0.75, 0)), ('cosine_decay', (1, (1 + 0.5**0.5) / 2, 0)),
    ('linear_growth', (0, 0.25, 1)), ('warmup', (0, 1, 1)), ('first_half', (1, 1, 0))])
def test_weight_follows_the_progress_of_training(schedule, expected):
    assert len(SCHEDULES) == 6
    model = build(head=dict(schedule=schedule, loss_weight=2.0), memory=BATCH)
    for p, factor in zip((0, 0.25, 1), expected):
        set_progress(model, p)
        log = step(model)
        assert log['aux.cmim_weight'] == pytest.approx(2 * factor, abs=1e-6)
        assert log['aux.loss_cmim'] == pytest.approx(2 * factor * log['aux.nce.layer3.5.conv1'], rel=1e-5)


def test_class_positives_are_the_next_of_the_class():
    labels = torch.tensor([3, 0, 3, -1, 0, 3, 7, -1])
    assert next_of_class(labels).tolist() == [2, 4, 5, 3, 1, 0, 6, 7]
    with pytest.raises(ValueError, match='set memory.other_classes_only=True'):
        build(head=dict(positives='class'))
    cosines = [step(build(head=dict(positives=p), **OTHERS))['aux.cosine.layer3.5.conv1']
               for p in ('image', 'class')]
    assert cosines[0] != cosines[1]


def test_bound_is_log_n_for_perfect_pairs():
    eye = torch.eye(16)
    assert infonce_bound(eye, eye, 0.01).item() == pytest.approx(math.log(16), abs=1e-4)
    assert infonce_bound(eye, eye.flip(0), 0.1).item() < 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_finite_under_autocast(dtype):
    model = build()
    with torch.autocast('cpu', dtype):
        log = step(model)
    assert all(np.isfinite(v) for v in log.values())
    assert all(torch.isfinite(g).all() for g in gradients(model).values())


def test_checkpoint_is_evaluated_without_the_training_data(tmp_path):
    trained = build(neck=dict(latent_momentum=0.9))
    step(trained)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'trained.pth')
    model = build(neck=dict(latent_momentum=0.9), memory=dict(num_rows=None)).eval()
    check_weights(model, str(tmp_path / 'trained.pth'))
    load_checkpoint(model, str(tmp_path / 'trained.pth'), strict=True)
    assert torch.equal(model(images()), trained.eval()(images()))


def test_nothing_in_eval_mode():
    model = build().eval()
    assert set(model(images(), samples(), mode='loss')) == {'loss_cls', 'acc_top1'}
    assert model.auxiliary_head.memories[0].steps == 0


def dense_model(task, memory, **neck):
    head = dict(type='FCNHead', in_channels=64, in_index=2, channels=8, num_convs=1, num_classes=4,
                align_corners=False) if task == 'EncoderDecoder' else dict(
                    type='cmim_mm.DepthHead', in_channels=[16, 32, 64], channels=8)
    return MODELS.build(dict(
        type=task, backbone=dict(type='cmim_mm.BinaryResNet', depth=20, taps=(-1, )), decode_head=head,
        neck=dict(type='cmim_mm.ContrastiveMINeck', in_channels=[64], dim=8, pooling='spatial', grid=(2, 3),
                  **neck),
        auxiliary_head=dict(type='cmim_mm.CMIMHead', memory=memory), train_cfg=None,
        test_cfg=dict(mode='whole')))


def dense_samples():
    generator, found = torch.Generator().manual_seed(0), []
    for i in range(2):
        sample = SegDataSample(metainfo=dict(sample_idx=i, img_shape=(16, 24)))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 4, (1, 16, 24), generator=generator))
        sample.gt_depth_map = PixelData(data=1 + torch.rand(1, 16, 24, generator=generator))
        found.append(sample)
    return found


@pytest.mark.parametrize('task', ['EncoderDecoder', 'DepthEstimator'])
def test_dense_training_contrasts_positions(task):
    memory = dict(type='cmim_mm.MemoryBank', kind='queue', num_rows=64, dim=8, num_negatives=16,
                  other_classes_only=task == 'EncoderDecoder')
    model = dense_model(task, memory)
    for _ in range(2):  # the queue is empty in the first step
        log = step(model, torch.randn(2, 3, 16, 24), dense_samples())
    assert log['aux.loss_cmim'] > 0 and np.isfinite(log['loss'])
    (bank, ) = model.auxiliary_head.memories
    assert bank.identity[:12].tolist() == [*range(12)]
    assert (bank.labels[:12] >= 0).all()
    out = model.eval()(torch.randn(1, 3, 16, 24), mode='tensor')
    assert out.shape[1] == (4 if task == 'EncoderDecoder' else 1)


def test_position_takes_the_label_at_its_centre():
    head = CMIMHead(memory=BATCH)
    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.arange(6 * 9).view(1, 6, 9))
    sample.gt_sem_seg.data[0, 4, 7] = 255
    embedded = Embedded(torch.zeros(1, 6, 8), torch.zeros(1, 6, 8), 'tap', (2, 3))
    assert head._labels([sample], embedded).tolist() == [10, 13, 16, 37, 40, -1]


def test_misuse_is_named():
    model = build()
    with pytest.raises(KeyError, match='sample_idx.*cmim_mm.PackClsInputs'):
        model(images(), [ClsDataSample(gt_label=torch.tensor([0])) for _ in range(4)], mode='loss')
    with pytest.raises(KeyError, match='classes are asked for'):
        no_labels = [ClsDataSample(metainfo=dict(sample_idx=i)) for i in range(4)]
        build(**OTHERS).auxiliary_head.loss(model.extract_feat(images()), no_labels)
    with pytest.raises(ValueError, match='come without embeddings'):
        model.auxiliary_head.loss(images(), samples())
    with pytest.raises(ValueError, match='the memory has dim=8'):
        step(build(neck=dict(dim=4)))
    with pytest.raises(ValueError, match='2 tap_weights for 1 taps'):
        step(build(head=dict(tap_weights=[1, 1])))
    with pytest.raises(ValueError, match="set memory.kind to 'queue'"):
        step(build(neck=dict(pooling='spatial', grid=(2, 2))))
    with pytest.raises(ValueError, match="schedule='step' is unknown; valid are constant"):
        CMIMHead(schedule='step')
    with pytest.raises(ValueError, match='no negative number'):
        CMIMHead(loss_weight=-1)
