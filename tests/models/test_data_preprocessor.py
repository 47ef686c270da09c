from copy import deepcopy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

from cmim_mm.models import DenseDataPreProcessor

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def sample(height, width, seg=True, depth=True):
    data = SegDataSample(metainfo=dict(img_shape=(height, width), ori_shape=(height, width)))
    if seg:
        data.gt_sem_seg = PixelData(data=torch.randint(0, 40, (1, height, width)))
    if depth:
        data.gt_depth_map = PixelData(data=torch.rand(1, height, width) + 1)
        data.gt_raw_depth_map = PixelData(data=torch.rand(1, height, width) + 1)
    return data


def batch(*sizes, **fields):
    return dict(inputs=[torch.randint(0, 256, (3, *s), dtype=torch.uint8) for s in sizes],
                data_samples=[sample(*s, **fields) for s in sizes])


def test_pads_each_map_with_its_own_value():
    data = batch((5, 8), (7, 6))
    out = DenseDataPreProcessor(mean=MEAN, std=STD)(data, training=True)
    assert out['inputs'].shape == (2, 3, 7, 8)
    for i, (h, w) in enumerate([(5, 8), (7, 6)]):
        got, given = out['data_samples'][i], data['data_samples'][i]
        for key, pad in dict(gt_sem_seg=255, gt_depth_map=0, gt_raw_depth_map=0).items():
            value = getattr(got, key).data
            assert value.shape == (1, 7, 8)
            assert torch.equal(value[:, :h, :w], getattr(given, key).data), key
            outside = torch.ones_like(value, dtype=torch.bool)
            outside[:, :h, :w] = False
            assert (value[outside] == pad).all(), key
        assert out['inputs'][i, :, h:].abs().sum() == 0
        assert tuple(got.pad_shape) == (7, 8) and tuple(got.img_shape) == (h, w)


@pytest.mark.parametrize('arguments, expected', [
    (dict(size=(8, 10)), (8, 10)), (dict(size_divisor=16), (16, 16)), (dict(), (5, 7))])
@pytest.mark.parametrize('seg', [True, False])
def test_sizes(arguments, expected, seg):
    out = DenseDataPreProcessor(**arguments)(batch((5, 7), seg=seg), training=True)
    assert out['inputs'].shape[-2:] == expected
    assert out['data_samples'][0].gt_depth_map.data.shape[-2:] == expected
    assert tuple(out['data_samples'][0].pad_shape) == expected


@pytest.mark.parametrize('arguments', [
    dict(), dict(input_scale=0.5), dict(size_divisor=16), dict(mean=MEAN, std=STD, bgr_to_rgb=True)])
@pytest.mark.parametrize('number, training', [(1, True), (2, True), (2, False)])
def test_batches_have_the_channels_last_whatever_comes(arguments, number, training):
    processor = DenseDataPreProcessor(**arguments)
    first, last = batch(*number * [(6, 10)]), batch(*number * [(6, 10)])
    last['inputs'] = [image.permute(1, 2, 0).contiguous().permute(2, 0, 1) for image in first['inputs']]
    found = [processor(data, training)['inputs'] for data in (first, last)]
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images in found)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize('training', [True, False])
def test_a_batch_is_that_of_mmsegmentation(training):
    arguments = dict(mean=MEAN, std=STD, bgr_to_rgb=True, pad_val=3, seg_pad_val=7, size_divisor=8,
                     test_cfg=dict(size=(9, 12)))
    given = batch((5, 8), (7, 6) if training else (5, 8), depth=False)
    for data in given['data_samples']:
        data.gt_edge_map = PixelData(data=data.gt_sem_seg.data % 2)
    found, expected = (kind(**arguments)(deepcopy(given), training)
                       for kind in (DenseDataPreProcessor, SegDataPreProcessor))
    assert torch.equal(found['inputs'], expected['inputs'])
    for ours, theirs in zip(found['data_samples'], expected['data_samples']):
        for key in ('gt_sem_seg', 'gt_edge_map'):
            assert torch.equal(ours.get(key).data, theirs.get(key).data)
        for key in ('img_shape', 'img_padding_size' if not training else 'padding_size'):
            assert tuple(ours.get(key)) == tuple(theirs.get(key))


def test_input_scale_in_training():
    data = batch((8, 12))
    out = DenseDataPreProcessor(mean=MEAN, std=STD, input_scale=0.5)(data, training=True)
    image = (data['inputs'][0].float() - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    blocks = image.view(3, 4, 2, 6, 2).mean((2, 4))  # bilinear at one half is the mean of 2x2
    torch.testing.assert_close(out['inputs'][0], blocks, atol=1e-5, rtol=1e-5)
    got, given = out['data_samples'][0], data['data_samples'][0]
    assert got.gt_sem_seg.data.dtype == torch.int64
    for key in ('gt_sem_seg', 'gt_depth_map', 'gt_raw_depth_map'):
        value = getattr(got, key).data
        assert value.shape == (1, 4, 6)
        near = getattr(given, key).data.view(4, 2, 6, 2).permute(0, 2, 1, 3).reshape(4, 6, 4)
        assert (near == value[0, :, :, None]).any(-1).all(), key  # no value is invented
    assert given.gt_sem_seg.data.shape == (1, 8, 12)  # the data set's sample is left alone


def test_input_scale_in_evaluation_keeps_the_ground_truth():
    data = batch((9, 13))
    out = DenseDataPreProcessor(input_scale=0.5)(data, training=False)
    assert out['inputs'].shape == (1, 3, 4, 6)
    got = out['data_samples'][0]
    assert torch.equal(got.gt_depth_map.data, data['data_samples'][0].gt_depth_map.data)
    assert got.ori_shape == (9, 13) and got.img_shape == (9, 13)


def test_inference_without_samples():
    out = DenseDataPreProcessor(input_scale=2)(dict(inputs=[torch.zeros(3, 4, 5)]))
    assert out['inputs'].shape == (1, 3, 8, 10) and out['data_samples'] is None


@pytest.mark.parametrize('value', [0, -1.0, '0.5', None, True, float('nan'), float('inf')])
def test_bad_input_scale(value):
    with pytest.raises(ValueError, match='input_scale must be a positive number'):
        DenseDataPreProcessor(input_scale=value)


def test_bad_sizes():
    with pytest.raises(ValueError, match='size or size_divisor, not both'):
        DenseDataPreProcessor(size=(4, 4), size_divisor=2)
    data = batch((5, 7))
    data['data_samples'][0].gt_depth_map = PixelData(data=torch.ones(1, 5, 6))
    with pytest.raises(ValueError, match=r'gt_depth_map is \(5, 6\).*image is \(5, 7\)'):
        DenseDataPreProcessor()(data, training=True)
    with pytest.raises(ValueError, match='data_samples'):
        DenseDataPreProcessor()(dict(inputs=[torch.zeros(3, 4, 4)]), training=True)
