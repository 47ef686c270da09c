"""Dense models with a teacher: what it sees, what it says, and what is learned from it."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from cmim_mm.binarize import set_progress
from cmim_mm.models import DepthL1Loss, FeatureRegressionHead, FrozenTeacher, add_cmim
from cmim_mm.models.features import Features
from cmim_mm.models.losses import Distillation
from cmim_mm.registry import MODELS
from cmim_mm.structures import ClsDataSample

pytestmark = pytest.mark.usefixtures('mmseg_scope')
BACKBONE = dict(type='cmim_mm.BinaryResNet', depth=20)
HEADS = dict(
    EncoderDecoder=dict(
        type='cmim_mm.SegformerHead', in_channels=[16, 32, 64], in_index=[0, 1, 2], channels=8, num_classes=4,
        dropout_ratio=0, loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    DepthEstimator=dict(type='cmim_mm.DepthHead', in_channels=[16, 32, 64], channels=8))
DISTILL = dict(EncoderDecoder=dict(temperature=2.0, weight=0.5),
               DepthEstimator=dict(type='cmim_mm.DepthL1Loss', loss_weight=0.5))
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]


def batch(n=2, height=16, width=24):
    generator = torch.Generator().manual_seed(1)
    images, samples = [], []
    for i in range(n):
        images.append(torch.randint(256, (3, height, width), generator=generator, dtype=torch.uint8))
        sample = SegDataSample(metainfo=dict(sample_idx=i, img_shape=(height, width)))
        sample.gt_sem_seg = PixelData(data=torch.randint(4, (1, height, width), generator=generator))
        sample.gt_depth_map = PixelData(data=1 + torch.rand(1, height, width, generator=generator))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def build(kind, path, distill=True, preprocessor=None, teacher=None, cmim=None):
    """A model whose teacher is its full-precision twin with random weights, written to ``path``."""
    torch.manual_seed(0)
    cfg = dict(type=f'cmim_mm.{kind}', backbone=BACKBONE, decode_head=HEADS[kind])
    torch.save(MODELS.build(dict(cfg, backbone=dict(BACKBONE, binarizer=None))).state_dict(), path)
    head = dict(HEADS[kind], distill=DISTILL[kind]) if distill else HEADS[kind]
    model = MODELS.build(dict(
        cfg, decode_head=head, teacher=dict(checkpoint=str(path), **(teacher or {})),
        data_preprocessor=dict(type='cmim_mm.DenseDataPreProcessor', mean=MEAN, std=STD, bgr_to_rgb=True,
                               **(preprocessor or {}))))
    if cmim is not None:
        add_cmim(model, **cmim)
    model.init_weights()
    set_progress(model, 0.5)
    return model.train()


def losses(model, data):
    return model(**model.data_preprocessor(data, training=True), mode='loss')


@pytest.mark.parametrize('kind', HEADS)
def test_distils_what_the_twin_says_at_each_position(kind, tmp_path):
    model = build(kind, tmp_path / 'twin.pth')
    data = model.data_preprocessor(batch(), training=True)
    predictions = []
    model.decode_head.register_forward_hook(lambda _, x, y: predictions.append(y.detach()))
    found = model(**data, mode='loss')
    taught = model.teacher(data['inputs']).logits
    prediction, = predictions
    if kind == 'EncoderDecoder':
        flat = [x.permute(0, 2, 3, 1).flatten(0, 2) for x in (prediction, taught)]
        expected = Distillation(2.0, 0.5)(*flat)
        torch.testing.assert_close(found['decode.loss_ce'], model.decode_head.loss_by_feat(
            prediction, data['data_samples'])['loss_ce'])
    else:
        expected = DepthL1Loss(loss_weight=0.5)(prediction, taught)
    torch.testing.assert_close(found['decode.loss_distill'], expected)
    assert found['decode.loss_distill'] > 0 and found['decode.loss_distill'].requires_grad


def test_the_teacher_sees_its_own_scale_and_normalization(tmp_path):
    """The same pixels: RGB, unscaled, as (x - 127) / 128, while the network sees half."""
    model = build('EncoderDecoder', tmp_path / 'twin.pth', teacher=dict(mean=[127.0], std=[128.0]),
                  preprocessor=dict(input_scale=0.5, teacher_scale=1))
    seen = []
    model.teacher.model.backbone.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    model.backbone.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    data = batch()
    found = losses(model, data)
    small, large = seen
    images = torch.stack(batch()['inputs']).flip(1).float()
    torch.testing.assert_close(large, (images - 127) / 128, atol=1e-5, rtol=0)
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, STD))
    half = F.interpolate(images, (8, 12), mode='bilinear', align_corners=False)
    torch.testing.assert_close(small, (half - mean) / std, atol=1e-5, rtol=0)
    assert torch.isfinite(found['decode.loss_distill'])


def test_a_teacher_may_magnify_what_it_gets(tmp_path):
    model = build('EncoderDecoder', tmp_path / 'twin.pth', teacher=dict(input_scale=2.0))
    maps = model.teacher(torch.randn(1, 3, 16, 24)).features
    assert maps[0].shape[2:] == (32, 48)


def test_padding_would_shift_the_teachers_view(tmp_path):
    model = build('EncoderDecoder', tmp_path / 'twin.pth',
                  preprocessor=dict(teacher_scale=1, size_divisor=32))
    with pytest.raises(ValueError, match='teacher_scale .* without padding'):
        losses(model, batch())


def test_contrasts_positions_with_the_teacher(tmp_path):
    model = build('EncoderDecoder', tmp_path / 'twin.pth', distill=False, cmim=dict(
        neck=dict(dim=8, pooling='spatial', latent=dict(type='Teacher'), trained=False),
        head=dict(memory=dict(type='InBatch'))))
    found = losses(model, batch())
    assert model.neck.source.teacher is model.teacher
    found['aux.loss_cmim'].backward()
    assert model.get_submodule('backbone.layer3.4.conv1').weight.grad.abs().sum() > 0
    assert model.decode_head.conv_seg.weight.grad is None


def test_regression_is_one_minus_the_cosine_to_the_standardized_map():
    torch.manual_seed(0)
    head = FeatureRegressionHead([6], [4], loss_weight=2.0)
    x, target = torch.randn(2, 6, 4, 6, requires_grad=True), torch.randn(2, 4, 8, 12)
    feats = Features([x], teacher=type('Said', (), dict(features=[target])))
    loss = head.loss(feats, [])['loss_regression']
    pooled = F.avg_pool2d(target, 2)
    rows = pooled.permute(0, 2, 3, 1).reshape(-1, 4)
    rows = (rows - rows.mean(0)) / (rows.var(0, unbiased=False) + 1e-5).sqrt()
    own = head.convs[0](x).permute(0, 2, 3, 1).reshape(-1, 4)
    torch.testing.assert_close(loss, 2 * (1 - (F.normalize(own) * F.normalize(rows)).sum(1).mean()))
    loss.backward()
    assert x.grad.abs().sum() > 0
    taken = Features([], pairs=[(None, x)], teacher=feats.teacher)
    head.in_index = None
    torch.testing.assert_close(head.loss(taken, [])['loss_regression'], loss)


def test_misuse_is_named(tmp_path):
    with pytest.raises(ValueError, match='one length'):
        FeatureRegressionHead([6, 8], [4])
    with pytest.raises(ValueError, match='no teacher ran; set model.teacher'):
        FeatureRegressionHead([6], [4]).loss(Features([torch.randn(1, 6, 2, 2)]), [])
    with pytest.raises(ValueError, match='EncoderDecoder: nothing reads model.teacher'):
        build('EncoderDecoder', tmp_path / 'twin.pth', distill=False)
    with pytest.raises(ValueError, match='the teacher has 4 classes, the model 5'):
        model = build('EncoderDecoder', tmp_path / 'twin.pth')
        model.decode_head.conv_seg = nn.Conv2d(8, 5, 1)
        model.decode_head.num_classes = 5
        losses(model, batch())
    with pytest.raises(ValueError, match='BinaryResNet brings no weights of its own'):
        FrozenTeacher(dict(BACKBONE, binarizer=None))
    with pytest.raises(ValueError, match='give both, or neither'):
        FrozenTeacher(dict(BACKBONE, binarizer=None), 'x.pth', mean=[1.0])
    for scale in (0, True, 'half'):
        with pytest.raises(ValueError, match='teacher_scale must be a positive number'):
            MODELS.build(dict(type='cmim_mm.DenseDataPreProcessor', teacher_scale=scale))


def test_an_encoder_without_a_head_learns_from_the_teacher_alone(tmp_path):
    """No label is read; the encoder's own features move towards the teacher's."""
    torch.manual_seed(0)
    network = dict(BACKBONE, binarizer=None)
    torch.save(MODELS.build(network).state_dict(), tmp_path / 'network.pth')
    model = MODELS.build(dict(
        type='cmim_mm.ImageClassifier', backbone=BACKBONE, decode_head=None,
        teacher=dict(model=network, checkpoint=str(tmp_path / 'network.pth')),
        auxiliary_head=dict(type='cmim_mm.FeatureRegressionHead', in_channels=[64], teacher_channels=[64])))
    model.init_weights()
    set_progress(model, 0.5)
    images, optimizer = torch.randn(8, 3, 16, 16), torch.optim.Adam(model.parameters(), 1e-2)
    history = []
    for _ in range(8):
        found = model.train()(images, [ClsDataSample() for _ in images], mode='loss')
        assert set(found) == {'aux.loss_regression'}
        optimizer.zero_grad()
        found['aux.loss_regression'].backward()
        optimizer.step()
        history.append(found['aux.loss_regression'].item())
    assert history[-1] < 0.8 * history[0]
    assert [x.shape[1] for x in model.eval()(images)] == [16, 32, 64]
