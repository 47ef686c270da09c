"""Loading and augmentation of labels and depth."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from cmim_mm.datasets import LoadNYUDDepth, LoadNYUDLabel, PackDenseInputs, RandomRescaleCrop
from cmim_mm.datasets.layout import DataError


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def paths(folder, n='0001', size=(12, 16)):
    return dict(
        img=cv2.imread(str(folder / f'image/{n}.png')), ori_shape=size, img_shape=size,
        reduce_zero_label=True,
        seg_map_path=str(folder / f'label40/{n}.png'), depth_map_path=str(folder / f'depth/{n}.png'),
        raw_depth_map_path=str(folder / f'raw_depth/{n}.png'), label_map=None, seg_fields=[])


def test_load_depth_in_metres(folder):
    results = LoadNYUDDepth()(paths(folder))
    assert results['seg_fields'] == ['gt_depth_map', 'gt_raw_depth_map']
    raw = cv2.imread(str(folder / 'raw_depth/0001.png'), -1)
    assert results['gt_raw_depth_map'].dtype == np.float32
    np.testing.assert_allclose(results['gt_raw_depth_map'], raw / 1000, rtol=1e-6)
    assert (results['gt_raw_depth_map'] == 0).sum() == (raw == 0).sum() > 0


@pytest.mark.parametrize('array, problem', [
    (np.full((12, 16), 90, np.uint8), 'uint8'), (np.full((12, 15), 900, np.uint16), 'shape'),
    (np.zeros((12, 16), np.uint16), 'empty'), (b'', 'no readable image'), (b'junk', 'no readable image'),
    (None, 'cannot be read')])
def test_broken_depth_is_named(folder, array, problem):
    path = folder / 'depth/0001.png'
    path.unlink()
    if isinstance(array, bytes):
        path.write_bytes(array)
    elif array is not None:
        cv2.imwrite(str(path), array)
    with pytest.raises(DataError, match=f'depth/0001.png: .*{problem}'):
        LoadNYUDDepth()(paths(folder))


def test_float_depth_tells_of_nan_and_negative(folder):
    depth = np.ones((12, 16), np.float32)
    depth[0, :3], depth[1, :2] = np.nan, -1
    (folder / 'depth/0001.png').write_bytes(cv2.imencode('.tiff', depth)[1].tobytes())
    with pytest.raises(DataError, match='3 NaN and 2 negative pixels'):
        LoadNYUDDepth()(paths(folder))


def test_load_label(folder):
    results = LoadNYUDLabel()(paths(folder))
    stored = cv2.imread(str(folder / 'label40/0001.png'), -1).astype(int)
    np.testing.assert_array_equal(results['gt_seg_map'], np.where(stored == 0, 255, stored - 1))


@pytest.mark.parametrize('reduce_zero_label', [True, False])
@pytest.mark.parametrize('label_map', [
    None, {0: 3, 3: 255, 7: 0}, {k: 255 if k % 2 else k // 2 for k in range(40)}])
def test_labels_are_those_of_mmsegmentation(folder, reduce_zero_label, label_map):
    given = dict(paths(folder), reduce_zero_label=reduce_zero_label, label_map=label_map)
    expected = LoadAnnotations()(dict(given, seg_fields=[]))['gt_seg_map']
    np.testing.assert_array_equal(LoadNYUDLabel()(given)['gt_seg_map'], expected)


def test_what_has_no_maps_passes_unchanged(folder):
    for load in (LoadNYUDLabel(), LoadNYUDDepth()):
        assert load(dict(img=1, ori_shape=(12, 16))) == dict(img=1, ori_shape=(12, 16))


@pytest.mark.parametrize('array, problem', [
    (np.full((12, 16), 41, np.uint8), r'out of range: \[41\]'), (np.full((12, 16), 3, np.uint16), 'uint16'),
    (np.full((6, 8), 3, np.uint8), 'shape')])
def test_broken_label_is_named(folder, array, problem):
    cv2.imwrite(str(folder / 'label40/0001.png'), array)
    with pytest.raises(DataError, match=f'label40/0001.png: .*{problem}'):
        LoadNYUDLabel()(paths(folder))


@pytest.mark.parametrize('transform', [
    dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=1.0, direction='vertical'),
    dict(type='RandomCrop', crop_size=(7, 9)), dict(type='Resize', scale_factor=2.0)])
def test_stock_transforms_move_all_maps_together(transform):
    """Image, labels and both depth maps count the same pixels; wherever they go, they go together."""
    count = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)
    fields = ['gt_seg_map', 'gt_depth_map', 'gt_raw_depth_map']
    results = dict(img=count[..., None].repeat(3, 2), img_shape=(12, 16), seg_fields=fields, gt_seg_map=count,
                   gt_depth_map=count.astype(np.float32), gt_raw_depth_map=count.astype(np.float32))
    results = TRANSFORMS.build(transform)(results)
    for key in fields[1:]:
        assert results[key].dtype == np.float32
        np.testing.assert_array_equal(results[key], results['gt_seg_map'])
    assert not np.array_equal(results['gt_seg_map'], count)
    if transform['type'] != 'Resize':  # images interpolate
        np.testing.assert_array_equal(results['img'][..., 0], results['gt_seg_map'])


def pinhole_plane(height, width, focal, centre, normal, distance):
    """Depth Z of the plane normal · (X, Y, Z) = distance at pixel centres: Z = distance / (normal · ray)."""
    y, x = np.mgrid[:height, :width]
    rays = np.stack([(x - centre[0]) / focal, (y - centre[1]) / focal, np.ones_like(x, float)], -1)
    return distance / (rays @ normal)


@pytest.mark.parametrize('s', [1.0, 1.2, 1.5, 2.0])
def test_rescaled_depth_is_that_of_the_nearer_scene(s):
    """Scaling a scene by 1/s about the camera leaves its image; a lens s times as long enlarges it by s.

    So the augmented depth at focal length f must be the plane at distance / s seen with the principal point
    that the crop gives; exact up to the half pixel that nearest-neighbour sampling may be off.
    """
    height, width, focal, normal, distance = 60, 80, 70.0, np.array([0.3, -0.2, 0.93]), 3.0
    depth = pinhole_plane(height, width, focal, (39.5, 29.5), normal, distance)
    transform = RandomRescaleCrop((s, s))
    transform._window = lambda h, w: (s, 4.0 * (s > 1), 7.0 * (s > 1))
    results = transform(dict(
        img=np.zeros((height, width, 3), np.uint8), seg_fields=['gt_depth_map'],
        gt_depth_map=depth.astype(np.float32)))
    left, top = 4.0 * (s > 1), 7.0 * (s > 1)
    centre = ((39.5 + 0.5) * s - 0.5 - left, (29.5 + 0.5) * s - 0.5 - top)
    expected = pinhole_plane(height, width, focal * s, centre, normal, distance / s)
    slope = np.abs(np.gradient(expected)).sum(0) * s / 2  # half an input pixel
    assert (np.abs(results['gt_depth_map'] - expected) <= slope + 1e-5).all()


def test_rescale_moves_image_labels_and_depth_alike():
    np.random.seed(3)
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
    results = RandomRescaleCrop((1.5, 1.5))(dict(
        img=ramp[..., None].repeat(3, 2), gt_seg_map=ramp, gt_depth_map=ramp.astype(np.float32),
        seg_fields=['gt_seg_map', 'gt_depth_map']))
    assert results['img'].shape == (48, 64, 3) and results['gt_seg_map'].dtype == np.uint8
    # the ramp climbs by 3 a pixel, and the nearest pixel is at most half a pixel away
    assert np.abs(results['img'][..., 0].astype(int) - results['gt_seg_map']).max() <= 2
    np.testing.assert_allclose(results['gt_depth_map'] * 1.5, results['gt_seg_map'], rtol=1e-6)
    assert set(np.unique(results['gt_seg_map'])) <= set(np.unique(ramp))


def test_rescale_keeps_missing_depth_and_any_size():
    for size in ((1, 1), (5, 7), (33, 20)):
        depth = np.random.rand(*size).astype(np.float32) + 1
        depth[0, 0] = 0
        results = RandomRescaleCrop((1.0, 3.0))(dict(
            img=np.zeros((*size, 3), np.uint8), gt_depth_map=depth, seg_fields=['gt_depth_map']))
        out = results['gt_depth_map']
        assert out.shape == size and np.isfinite(out).all()
        assert ((out == 0) | ((out > 1 / 3 - 1e-6) & (out <= 2))).all()


def test_rescale_by_one_changes_nothing():
    img = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    results = RandomRescaleCrop((1.0, 1.0))(dict(img=img, gt_seg_map=img[..., 0], seg_fields=['gt_seg_map']))
    np.testing.assert_array_equal(results['img'], img)
    np.testing.assert_array_equal(results['gt_seg_map'], img[..., 0])


def test_rescale_follows_the_seed():
    transform = RandomRescaleCrop()

    def draw(seed):
        np.random.seed(seed)
        return transform._window(48, 64)

    assert draw(1) == draw(1) != draw(2)
    for s, left, top in map(draw, range(50)):
        assert 1 <= s <= 1.5 and 0 <= left <= (s - 1) * 64 and 0 <= top <= (s - 1) * 48


@pytest.mark.parametrize('ratio_range', [(0.5, 1.5), (1.5, 1.0)])
def test_rescale_refuses(ratio_range):
    with pytest.raises(ValueError, match='1 <= low <= high'):
        RandomRescaleCrop(ratio_range)


def test_pack():
    depth = np.random.rand(4, 6).astype(np.float32)
    packed = PackDenseInputs()(dict(
        img=np.zeros((4, 6, 3), np.uint8), gt_depth_map=depth, gt_raw_depth_map=depth[:, ::-1].copy(),
        gt_seg_map=np.ones((4, 6), np.uint8), sample_idx=7, img_path='a.png', img_shape=(4, 6)))
    sample = packed['data_samples']
    assert packed['inputs'].stride() == (1, 18, 3)  # the channels stay last in memory
    assert packed['inputs'].shape == (3, 4, 6) and sample.sample_idx == 7 and sample.img_path == 'a.png'
    assert torch.equal(sample.gt_raw_depth_map.data, sample.gt_depth_map.data.flip(-1))
    assert sample.gt_sem_seg.data.dtype == torch.int64
