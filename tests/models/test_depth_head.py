"""DepthHead alone, in mmseg's DepthEstimator, and under test-time augmentation."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from cmim_mm.models import DepthHead, DepthTTAModel

pytestmark = pytest.mark.usefixtures('mmseg_scope')
CHANNELS = [64, 128, 256, 512]


def estimator(backbone=None, head=None, **preprocessor):
    cfg = ConfigDict(
        type='DepthEstimator',
        data_preprocessor=dict(type='cmim_mm.DenseDataPreProcessor', **preprocessor),
        backbone=backbone or dict(type='cmim_mm.BinaryResNet', binarizer='BiReal'),
        decode_head=dict(dict(type='cmim_mm.DepthHead', in_channels=CHANNELS, channels=16), **head or {}),
        test_cfg=dict(mode='whole'))
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def batch(*sizes, valid=True):
    samples = []
    for size in sizes:
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        sample.gt_depth_map = PixelData(data=(torch.rand(1, *size) * 5 + 1) * valid)
        samples.append(sample)
    return dict(inputs=[torch.randn(3, *s) for s in sizes], data_samples=samples)


def step(model, data):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.01))
    return model.train_step(data, wrapper)


@pytest.mark.parametrize('sizes', [
    [(16, 24), (8, 12), (4, 6), (2, 3)], [(9, 13), (5, 7), (5, 7), (5, 7)], [(3, 3)]])
def test_levels_of_any_size_and_number(sizes):
    torch.manual_seed(0)
    channels = [8, 6, 5, 4][:len(sizes)]
    head = DepthHead(channels, 8, min_depth=0.5, max_depth=3.0)
    head.conv_seg.weight.data.mul_(1e4)
    depth = head([torch.randn(2, c, *s) for c, s in zip(channels, sizes)])
    assert depth.shape == (2, 1, *sizes[0])
    assert depth.min() >= 0.5 and depth.max() <= 3.0 and depth.std() > 0.5


def test_in_index_selects():
    head = DepthHead([6, 4], 8, in_index=[1, 3])
    features = [torch.randn(1, c, 8, 8) for c in (9, 6, 9, 4)]
    assert head(features).shape == (1, 1, 8, 8)


@pytest.mark.parametrize('backbone', [
    None,
    dict(type='ResNet', depth=18, num_stages=4, out_indices=(0, 1, 2, 3), style='pytorch'),
    dict(type='cmim_mm.BinaryResNet', binarizer=None, output_stride=8),
])
def test_trains_with_any_backbone(backbone):
    model = estimator(backbone).train()
    before = {k: v.clone() for k, v in model.decode_head.named_parameters()}
    losses = step(model, batch((33, 50), (40, 46)))
    assert torch.isfinite(losses['loss']) and 'decode.loss_silog' in losses
    assert all(not torch.equal(v, before[k]) for k, v in model.decode_head.named_parameters())


def test_batch_without_valid_depth_is_a_zero_loss():
    model = estimator().train()
    assert step(model, batch((32, 32), (32, 32), valid=False))['loss'] == 0
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_losses_by_config_and_binary_convolutions(watch_shares):
    model = estimator(head=dict(
        conv_cfg=dict(type='cmim_mm.BinaryConv2d', binarizer='ReActNet'), norm_cfg=dict(type='BN'),
        act_cfg=dict(type='PReLU'),
        loss_decode=[dict(type='cmim_mm.SiLogLoss'), dict(type='cmim_mm.DepthL1Loss')])).train()
    shares = watch_shares(model.decode_head)
    losses = step(model, batch((64, 64), (64, 64)))
    assert {'decode.loss_silog', 'decode.loss_l1'} < set(losses)
    total = losses['decode.loss_silog'] + losses['decode.loss_l1']
    assert losses['loss'].item() == pytest.approx(total.item())
    assert len(shares) == 8 and all(0.05 <= share <= 0.95 for share in shares.values()), shares


@pytest.mark.parametrize('preprocessor', [dict(), dict(input_scale=0.5), dict(
    input_scale=0.5, test_cfg=dict(size_divisor=32))])
def test_predicts_metres_at_the_original_size(preprocessor):
    model = estimator(**preprocessor).eval()
    data = batch((45, 61), (45, 61))
    with torch.no_grad():
        for sample in model.val_step(data):
            depth = sample.pred_depth_map.data
            assert depth.shape == (1, 45, 61) and sample.gt_depth_map.data.shape == (1, 45, 61)
            assert depth.min() > 1e-3 and depth.max() < 10


def test_padding_is_cut_off_where_it_was_added():
    """What the head paints into the padding must not show, and a gradient across the image must fit."""
    model = estimator(input_scale=0.5, test_cfg=dict(size=(32, 64))).eval()
    ramp = torch.linspace(1, 2, 64).expand(1, 1, 32, 64)
    model.decode_head.forward = lambda features: ramp
    (sample,) = model.val_step(batch((64, 64)))
    row = sample.pred_depth_map.data[0, 0]
    assert row.shape == (64,)
    assert row[[0, -1]].tolist() == pytest.approx([1.0, 1.5], abs=0.02)


def test_segmentor_predicts_at_the_original_size():
    model = MODELS.build(ConfigDict(
        type='EncoderDecoder', data_preprocessor=dict(type='cmim_mm.DenseDataPreProcessor', input_scale=0.5),
        backbone=dict(type='cmim_mm.BinaryResNet'), test_cfg=dict(mode='whole'),
        decode_head=dict(type='FCNHead', in_channels=512, channels=8, num_classes=5, num_convs=1))).eval()
    with torch.no_grad():
        (sample,) = model.val_step(batch((45, 61)))
    assert sample.pred_sem_seg.data.shape == (1, 45, 61) and sample.seg_logits.data.shape == (5, 45, 61)


def test_tta_is_the_mean_with_the_flipped_prediction_flipped_back():
    model = estimator().eval()
    image = torch.randn(3, 40, 56)
    plain = SegDataSample(metainfo=dict(img_shape=(40, 56), ori_shape=(40, 56), flip=False))
    plain.gt_depth_map = PixelData(data=torch.rand(1, 40, 56))
    flipped = SegDataSample(metainfo=dict(
        img_shape=(40, 56), ori_shape=(40, 56), flip=True, flip_direction='horizontal'))
    with torch.no_grad():
        first, second = (model.decode_head.predict(
            model.extract_feat(x[None]), [plain.metainfo], {}) for x in (image, image.flip(-1)))
        (merged,) = DepthTTAModel(model).test_step(dict(
            inputs=[[image], [image.flip(-1)]], data_samples=[[plain], [flipped]]))
    expected = (first + second.flip(-1)) / 2
    torch.testing.assert_close(merged.pred_depth_map.data, expected[0])
    assert (first - second.flip(-1)).abs().max() > 1e-3  # the flip makes a difference
    assert torch.equal(merged.gt_depth_map.data, plain.gt_depth_map.data) and merged.flip is False


@pytest.mark.parametrize('arguments, message', [
    (dict(in_channels=[4, 4], in_index=[0]), 'one length'),
    (dict(in_channels=[4], min_depth=0.0), '0 < min_depth < max_depth'),
    (dict(in_channels=[4], min_depth=5.0, max_depth=2.0), '0 < min_depth < max_depth'),
])
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DepthHead(**arguments)


def test_missing_depth_says_what_to_do():
    data = batch((64, 64))
    del data['data_samples'][0].gt_depth_map
    with pytest.raises(KeyError, match='LoadNYUDDepth'):
        step(estimator().train(), data)
