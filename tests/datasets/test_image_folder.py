"""Class folders and the transforms for them."""
import numpy as np
import pytest
import torch
from fake_cifar import write_class_folders
from mmengine.registry import DefaultScope

from cmim_mm.datasets import (
    ColorJitter,
    ImageFolder,
    PackClsInputs,
    PCALighting,
    RandomResizedCrop,
    SeededDataset,
)
from cmim_mm.datasets.layout import DataError

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='cmim_mm.RandomResizedCrop', size=24),
            dict(type='RandomFlip', prob=0.5), dict(type='cmim_mm.ColorJitter'),
            dict(type='cmim_mm.PackClsInputs')]


def test_images_with_labels_repeat_by_position(tmp_path):
    write_class_folders(tmp_path, size=(40, 50))
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = SeededDataset(ImageFolder(str(tmp_path), pipeline=PIPELINE))
    assert len(dataset) == 12 and dataset.metainfo['classes'] == ('ant', 'bee', 'cat')
    one, same, other = dataset[5, 6], dataset[5, 6], dataset[7, 6]
    assert one['inputs'].shape == (3, 24, 24) and one['inputs'].dtype == torch.uint8
    assert torch.equal(one['inputs'], same['inputs']) and not torch.equal(one['inputs'], other['inputs'])
    sample = one['data_samples']
    assert sample.gt_label.tolist() == [1] and sample.sample_idx == 6
    assert sample.img_path.endswith('bee/2.png')
    pair = dataset.__getitems__([(5, 6), (7, 6)])
    assert torch.equal(pair[0]['inputs'], one['inputs']) and torch.equal(pair[1]['inputs'], other['inputs'])


def test_all_splits_count_as_the_training_split(tmp_path):
    write_class_folders(tmp_path)
    for path in (tmp_path / 'val/ant').iterdir():
        path.unlink()
    (tmp_path / 'val/ant').rmdir()
    labels = [ImageFolder(str(tmp_path), 'val').get_data_info(i)['gt_label'] for i in range(8)]
    assert labels == [1] * 4 + [2] * 4
    (tmp_path / 'val/dog').mkdir()
    with pytest.raises(DataError, match='1 classes are not in .*train: dog'):
        ImageFolder(str(tmp_path), 'val')
    some = ImageFolder(str(tmp_path), 'train', classes=['cat', 'ant'])
    assert [some.get_data_info(i)['gt_label'] for i in (0, 4)] == [0, 1]
    with pytest.raises(DataError, match='no folder of class eel'):
        ImageFolder(str(tmp_path), 'train', classes=['eel'])


def test_folders_of_class_folders_are_groups(tmp_path):
    write_class_folders(tmp_path, classes=('a/airport', 'a/attic', 'bar'))
    (tmp_path / 'train/bar/thumbnails').mkdir()
    dataset = ImageFolder(str(tmp_path))
    assert dataset.metainfo['classes'] == ('a/airport', 'a/attic', 'bar') and len(dataset) == 12
    record = dataset.get_data_info(5)
    assert record['gt_label'] == 1 and '/a/attic/' in record['img_path']


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(DataError, match='train: no class folders there.*--data-root'):
        ImageFolder(str(tmp_path))
    (tmp_path / 'train/ant').mkdir(parents=True)
    with pytest.raises(DataError, match='train: no image in its class folders'):
        ImageFolder(str(tmp_path))


def test_resized_crop_keeps_its_ranges():
    np.random.seed(0)
    crop = RandomResizedCrop(8, area_range=(0.2, 0.5), aspect_range=(0.5, 2.0))
    windows = [crop._window(100, 150) for _ in range(200)]
    for top, left, h, w in windows:
        assert 0 <= top <= 100 - h and 0 <= left <= 150 - w
        assert 0.19 <= h * w / 15000 <= 0.51 and 0.48 <= w / h <= 2.08
    assert RandomResizedCrop(8, (0.9, 1.0), (5.0, 6.0))._window(100, 150) == (0, 25, 100, 100)
    with pytest.raises(ValueError, match='expected 0 < low <= high'):
        RandomResizedCrop(8, area_range=(0.5, 1.5))


def test_colour_jitter_draws_factors_and_can_be_turned_off():
    np.random.seed(0)
    image = np.random.randint(0, 256, (6, 7, 3), np.uint8)
    same = ColorJitter(0, 0, 0).transform(dict(img=image.copy()))['img']
    assert np.abs(same.astype(int) - image).max() <= 1
    jitter = ColorJitter(0.4, 0, 0)
    factors = [f for _ in range(50) for i, f in jitter._draw() if i == 0]
    assert 0.6 <= min(factors) < 0.7 and 1.3 < max(factors) <= 1.4
    changed = jitter.transform(dict(img=image.copy()))['img']
    assert changed.dtype == np.uint8 and not np.array_equal(changed, image)
    with pytest.raises(ValueError, match='contrast=-1'):
        ColorJitter(contrast=-1)


def test_lighting_moves_all_pixels_along_the_principal_colours():
    image = np.full((4, 5, 3), 128, np.uint8)
    np.random.seed(0)
    multiples = np.random.normal(0, 2.0, 3)
    np.random.seed(0)
    lit = PCALighting(std=2).transform(dict(img=image))['img']
    rgb = sum(m * value * PCALighting.EIGENVECTORS[:, i]
              for i, (m, value) in enumerate(zip(multiples, PCALighting.EIGENVALUES)))
    expected = (128 + rgb[::-1]).round().clip(0, 255)  # files are BGR
    assert lit.dtype == np.uint8 and (lit == expected).all() and not (lit == image).any()
    np.testing.assert_allclose(PCALighting.EIGENVECTORS.T @ PCALighting.EIGENVECTORS, np.eye(3), atol=1e-3)
    assert np.array_equal(PCALighting(std=0).transform(dict(img=image))['img'], image)


def test_packs_soft_labels():
    packed = PackClsInputs().transform(dict(img=np.zeros((2, 3, 3), np.uint8), gt_score=[0.25, 0.75]))
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 2, 3)
    assert sample.gt_score.tolist() == [0.25, 0.75] and 'gt_label' not in sample
