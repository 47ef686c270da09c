"""NYUD-v2's data sets and its constants."""
import itertools

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from cmim_mm.datasets import NYUDDepthDataset, NYUDSegDataset
from cmim_mm.datasets.layout import DataError, MissingDataError
from cmim_mm.datasets.nyud_meta import CLASSES, MAP_40_TO_13, MAP_894_TO_40, NUM_FRAMES, PALETTE, SPLIT
from cmim_mm.registry import DATASETS

SEG = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='cmim_mm.PackDenseInputs')]
DEPTH = [SEG[0], dict(type='cmim_mm.LoadNYUDDepth'), SEG[2]]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def test_official_constants():
    assert [len(SPLIT[k]) for k in ('train', 'test')] == [795, 654]
    assert sorted(SPLIT['train'] + SPLIT['test']) == list(range(1, NUM_FRAMES + 1))
    assert len(CLASSES[40]) == len(set(CLASSES[40])) == 40
    assert (CLASSES[40][0], CLASSES[40][8], CLASSES[40][39]) == ('wall', 'window', 'otherprop')
    assert CLASSES[13] == (
        'bed', 'books', 'ceiling', 'chair', 'floor', 'furniture', 'objects', 'picture', 'sofa', 'table', 'tv',
        'wall', 'window')
    assert MAP_894_TO_40.shape == (895,) and set(MAP_894_TO_40) == set(range(41)) and MAP_894_TO_40[0] == 0
    assert MAP_40_TO_13.shape == (41,) and set(MAP_40_TO_13) == set(range(14)) and MAP_40_TO_13[0] == 0


@pytest.mark.parametrize('name, coarse', [
    ('bed', 'bed'), ('books', 'books'), ('ceiling', 'ceiling'), ('chair', 'chair'), ('floor', 'floor'),
    ('cabinet', 'furniture'), ('lamp', 'objects'), ('picture', 'picture'), ('sofa', 'sofa'),
    ('table', 'table'), ('television', 'tv'), ('door', 'wall'), ('wall', 'wall'),
    ('blinds', 'window'), ('window', 'window')])
def test_map_to_13(name, coarse):
    assert CLASSES[13][MAP_40_TO_13[CLASSES[40].index(name) + 1] - 1] == coarse


def test_palettes_are_distinguishable():
    for count in (40, 13):
        lab = cv2.cvtColor(np.float32([PALETTE[count]]) / 255, cv2.COLOR_RGB2LAB)[0]
        distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)]
        assert len(lab) == count and min(distances) > 20  # 2.3 is just noticeable


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_segmentation_40(make_folder, suffix):
    root = make_folder(suffix=suffix)
    dataset = NYUDSegDataset(data_root=str(root), ann_file='train.txt', pipeline=SEG)
    assert len(dataset) == 4 and len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 40
    sample = dataset[1]['data_samples']
    stored = cv2.imread(str(root / 'label40/0002.png'), -1).astype(int)
    expected = np.where(stored == 0, 255, stored - 1)
    np.testing.assert_array_equal(sample.gt_sem_seg.data[0], expected)
    assert sample.img_path.endswith(f'0002{suffix}') and sample.sample_idx == 1


def test_segmentation_13(folder):
    dataset = DATASETS.build(dict(
        type='cmim_mm.NYUDSegDataset', num_classes=13, data_root=str(folder), ann_file='test.txt',
        pipeline=SEG, test_mode=True))
    assert dataset.metainfo['classes'] == CLASSES[13] and dataset.metainfo['palette'] == PALETTE[13]
    for i, n in enumerate((5, 6)):
        stored = cv2.imread(str(folder / f'label40/000{n}.png'), -1)
        coarse = MAP_40_TO_13[stored].astype(int)
        np.testing.assert_array_equal(dataset[i]['data_samples'].gt_sem_seg.data[0],
                                      np.where(stored == 0, 255, coarse - 1))


def test_other_number_of_classes_is_refused(folder):
    with pytest.raises(ValueError, match='expected 40 or 13'):
        NYUDSegDataset(num_classes=14, data_root=str(folder))


def test_depth_with_raw_in_test_mode_only(folder):
    sample = NYUDDepthDataset(data_root=str(folder), ann_file='test.txt', pipeline=DEPTH, test_mode=True)[0]
    metres = sample['data_samples'].gt_depth_map.data
    assert metres.shape == (1, 12, 16) and str(metres.dtype) == 'torch.float32'
    np.testing.assert_allclose(metres[0], cv2.imread(str(folder / 'depth/0005.png'), -1) / 1000, rtol=1e-6)
    np.testing.assert_allclose(sample['data_samples'].gt_raw_depth_map.data[0],
                               cv2.imread(str(folder / 'raw_depth/0005.png'), -1) / 1000, rtol=1e-6)
    train = NYUDDepthDataset(data_root=str(folder), ann_file='train.txt', pipeline=DEPTH)[0]
    assert 'gt_raw_depth_map' not in train['data_samples']


def test_depth_without_raw(make_folder):
    sample = NYUDDepthDataset(data_root=str(make_folder(raw=False)), ann_file='test.txt', pipeline=DEPTH,
                              test_mode=True)[0]
    assert 'gt_depth_map' in sample['data_samples'] and 'gt_raw_depth_map' not in sample['data_samples']


def test_one_dataset_can_feed_both_tasks(folder):
    pipeline = [*SEG[:2], *DEPTH[1:]]
    sample = NYUDSegDataset(data_root=str(folder), pipeline=pipeline)[0]['data_samples']
    assert sample.gt_sem_seg.shape == sample.gt_depth_map.shape == (12, 16)


@pytest.mark.parametrize('empty', [False, True])
def test_no_data_says_in_three_lines_what_to_do(tmp_path, empty):
    root = tmp_path / 'none'
    if empty:
        root.mkdir()
    with pytest.raises(MissingDataError) as e:
        NYUDDepthDataset(data_root=str(root))
    lines = str(e.value).splitlines()
    assert len(lines) == 3 and str(root) in lines[0]
    assert 'tools/dataset_converters/nyud.py' in lines[1] and '--download' in lines[1]
    assert 'tools/dataset_converters/rooms.py -o data/rooms' in lines[2]
    assert '--data-root data/rooms' in lines[2]


@pytest.mark.parametrize('spoil, named', [
    (lambda r: (r / 'train.txt').unlink(), 'train.txt: no such list'),
    (lambda r: (r / 'train.txt').write_text(' \n\n'), 'train.txt: names no frame'),
    (lambda r: (r / 'train.txt').write_text('0001\n0002\n0001\n'), 'names frame 0001 2 times'),
    (lambda r: (r / 'train.txt').write_text('0001\n0099\n'), 'image/0099.png: missing, but named in'),
    (lambda r: (r / 'image/0003.png').unlink(), 'image/0003.png: missing'),
    (lambda r: (r / 'label40/0002.png').unlink(), 'label40/0002.png: missing'),
    (lambda r: (r / 'label40').rename(r / 'labels'), 'label40: no such folder'),
    (lambda r: (r / 'image/0003.jpg').write_bytes(b'x'), 'image/0003: ambiguous'),
])
def test_faults_of_the_layout_stop_before_training(folder, spoil, named):
    spoil(folder)
    with pytest.raises(DataError) as e:
        NYUDSegDataset(data_root=str(folder))
    assert named in str(e.value) and 'tools/misc/check_dataset.py' in str(e.value)


def test_many_faults_are_summed_up(folder):
    for n in (1, 2, 3):
        for name in ('image', 'depth', 'label40'):
            (folder / f'{name}/000{n}.png').unlink()
    with pytest.raises(DataError, match='and 4 more') as e:
        NYUDSegDataset(data_root=str(folder))
    assert len(str(e.value).splitlines()) == 7
