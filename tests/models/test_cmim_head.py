"""The head: what it adds to the losses, in classification, segmentation and depth."""
import numpy as np
import pytest
import torch
from cmim_models import BATCH, TAP, build, gradients, images, samples, step
from mmengine.runner import load_checkpoint
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from cmim_mm.binarize import BINARIZERS, set_progress
from cmim_mm.models import CMIMHead, add_cmim
from cmim_mm.models.pretrained import check_weights
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

pytestmark = pytest.mark.usefixtures('mmseg_scope')


@pytest.mark.parametrize('binarizer', sorted(BINARIZERS.module_dict))
def test_every_binarizer_takes_a_step(binarizer):
    model = build(binarizer=binarizer)
    log = step(model)
    assert all(np.isfinite(v) for v in log.values())
    assert log['loss'] == pytest.approx(log['loss_cls'] + log['aux.loss_cmim'], rel=1e-5)
    assert all(torch.isfinite(g).all() for g in gradients(model).values())


@pytest.mark.parametrize('network, channels', [('BinaryVGG', 512), ('BinaryMobileNet', 1024)])
def test_every_backbone_takes_a_step(network, channels):
    model = add_cmim(MODELS.build(dict(
        type='cmim_mm.ImageClassifier', backbone=dict(type=f'cmim_mm.{network}'),
        decode_head=dict(type='cmim_mm.ClsHead', in_channels=channels, num_classes=3))),
        head=dict(memory=BATCH))
    set_progress(model, 0)
    assert np.isfinite(step(model, images(size=32))['aux.loss_cmim'])


@pytest.mark.parametrize('schedule, expected', [
    ('constant', (1, 1, 1)), (dict(type='constant', begin=0.5), (0, 0, 1)), (dict(end=0.5), (1, 1, 0)),
    ('linear', (1, 0.75, 0)), (dict(type='linear', begin=0.2, end=0.3, start=0, stop=1), (0, 0.5, 1)),
    ('cosine', (1, (1 + 0.5**0.5) / 2, 0)), (dict(type='cosine', end=0.5), (1, 0.5, 0))])
def test_weight_follows_the_progress_of_training(schedule, expected):
    model = build(head=dict(schedule=schedule, loss_weight=2.0), memory=BATCH)
    for p, factor in zip((0, 0.25, 1), expected):
        set_progress(model, p)
        log = step(model)
        assert log['aux.cmim_weight'] == pytest.approx(2 * factor, abs=1e-6)
        assert log['aux.loss_cmim'] == pytest.approx(2 * factor * log[f'aux.nce.{TAP}'], rel=1e-5)


@pytest.mark.parametrize('schedule, message', [
    ('step', "schedule='step' is unknown; valid are constant, linear, cosine"),
    (dict(type='linear', stat=1), "'linear' has no stat; it takes begin, end, start, stop"),
    (dict(type='constant', stop=1), "'constant' has no stop"),
    (dict(type='cosine', begin=0.5, end=0.5), 'begin=0.5, end=0.5; expected fractions')])
def test_bad_schedules_are_named(schedule, message):
    with pytest.raises(ValueError, match=message):
        CMIMHead(schedule=schedule)


def test_without_anything_that_sets_the_progress_it_refuses():
    model = build()
    model.auxiliary_head.progress.fill_(-1)
    with pytest.raises(RuntimeError, match='how far training is.*set_progress'):
        step(model)
    assert 'auxiliary_head.progress' not in model.state_dict()  # so a resumed run is told anew


def test_checkpoint_is_evaluated_without_the_training_data(tmp_path):
    trained = build(neck=dict(latent=dict(type='MovingAverage')))
    step(trained)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'trained.pth')
    model = build(neck=dict(latent=dict(type='MovingAverage')))
    model.auxiliary_head.memories[0].resize(0)
    check_weights(model.eval(), str(tmp_path / 'trained.pth'))
    load_checkpoint(model, str(tmp_path / 'trained.pth'), strict=True)
    assert torch.equal(model(images()), trained.eval()(images()))


def test_nothing_in_eval_mode():
    model = build().eval()
    assert set(model(images(), samples(), mode='loss')) == {'loss_cls', 'acc_top1'}
    assert model.auxiliary_head.memories[0].steps == 0


def dense_model(task, **head):
    decode_head = dict(type='FCNHead', in_channels=64, in_index=2, channels=8, num_convs=1, num_classes=4,
                       align_corners=False) if task == 'EncoderDecoder' else dict(
                           type='cmim_mm.DepthHead', in_channels=[16, 32, 64], channels=8)
    model = add_cmim(
        MODELS.build(dict(type=task, backbone=dict(type='cmim_mm.BinaryResNet', depth=20),
                          decode_head=decode_head, train_cfg=None, test_cfg=dict(mode='whole'))),
        neck=dict(dim=8, pooling='spatial', grid=(2, 3)), head=head)
    set_progress(model, 0)
    return model


def dense_samples():
    """The first without labels in the cell (0, 1), the second with its right third padded."""
    generator, found = torch.Generator().manual_seed(0), []
    for i in range(2):
        sample = SegDataSample(metainfo=dict(
            sample_idx=i, img_shape=(16, 24 - 8 * i), padding_size=(0, 8 * i, 0, 0), pad_shape=(16, 24)))
        labels = torch.randint(0, 4, (1, 16, 24), generator=generator)
        labels[0, :, 16:] = 255 if i else labels[0, :, 16:]
        labels[0, :8, 8:16] = labels[0, :8, 8:16] if i else 255
        sample.gt_sem_seg = PixelData(data=labels)
        sample.gt_depth_map = PixelData(data=1 + torch.rand(1, 16, 24, generator=generator))
        found.append(sample)
    return found


@pytest.mark.parametrize('task, identity', [
    ('EncoderDecoder', [0, -1, 2, 3, 4, 5, 6, 7, -1, 9, 10, -1]),
    ('DepthEstimator', [0, 1, 2, 3, 4, 5, 6, 7, -1, 9, 10, -1])])
def test_dense_training_contrasts_positions_that_show_something(task, identity):
    data = dense_samples()
    if task == 'DepthEstimator':
        for sample in data:
            del sample.gt_sem_seg
    negatives = 'other_classes' if task == 'EncoderDecoder' else 'all'
    model = dense_model(task, negatives=negatives, memory=dict(type='Queue', num_rows=64, num_negatives=16))
    for _ in range(2):  # the queue is empty in the first step
        log = step(model, torch.randn(2, 3, 16, 24), data)
    assert log['aux.loss_cmim'] > 0 and np.isfinite(log['loss'])
    (queue, ) = model.auxiliary_head.memories
    assert queue.identity[:12].tolist() == identity
    assert (queue.labels[:12] >= 0).tolist() == [i >= 0 and task == 'EncoderDecoder' for i in identity]
    out = model.eval()(torch.randn(1, 3, 16, 24), mode='tensor')
    assert out.shape[1] == (4 if task == 'EncoderDecoder' else 1)


def test_misuse_is_named():
    model = build()
    with pytest.raises(KeyError, match='sample_idx.*cmim_mm.PackClsInputs'):
        model(images(), [ClsDataSample(gt_label=torch.tensor([0])) for _ in range(4)], mode='loss')
    with pytest.raises(KeyError, match='ask for classes'):
        no_labels = [ClsDataSample(metainfo=dict(sample_idx=i)) for i in range(4)]
        build(head=dict(negatives='other_classes')).auxiliary_head.loss(
            model.extract_feat(images()), no_labels)
    with pytest.raises(ValueError, match='come without embeddings'):
        model.auxiliary_head.loss(images(), samples())
    with pytest.raises(ValueError, match="set memory.type to 'Queue'"):
        step(build(neck=dict(pooling='spatial', grid=(2, 2))))
    feats = model.extract_feat(images())
    for head, message in ((CMIMHead(dim=4, memory=BATCH), 'the head has dim=4'),
                          (CMIMHead(dim=8, memory=BATCH, tap_weights=(1, 1)), '2 tap_weights for 1 taps')):
        with pytest.raises(ValueError, match=message):
            head.loss(feats, samples())


@pytest.mark.parametrize('arguments, message', [
    (dict(loss_weight=-1), 'no negative number'), (dict(tap_weights=()), 'a weight for each tap'),
    (dict(positives='row'), "positives='row' is unknown; valid are image, class, neighbour, bank"),
    (dict(negatives='some'), "negatives='some' is unknown; valid are all, other_classes"),
    (dict(positives='class'), "set negatives='other_classes'"),
    (dict(positives='bank', memory=dict(type='Queue')), "needs memory.type='Bank'.*got Queue")])
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        CMIMHead(**arguments)


@pytest.mark.parametrize('memory, argument', [
    (dict(type='Bank', num_rows=9), 'num_rows'), (dict(type='InBatch', momentum=0.5), 'momentum'),
    (dict(type='InBatch', num_negatives=9), 'num_negatives'), (dict(type='Queue', momentum=0.5), 'momentum')])
def test_no_option_is_accepted_and_ignored(memory, argument):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{argument}'"):
        CMIMHead(memory=memory)
