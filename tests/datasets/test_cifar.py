"""CIFAR from the public python files and from class folders."""
import os
import pickle

import numpy as np
import pytest
import torch
from fake_cifar import write_cifar10, write_cifar100, write_class_folders, write_pickle
from torch.utils.data import DataLoader

from cmim_mm.datasets import CIFAR10, CIFAR100, ResumableSampler, SeededDataset
from cmim_mm.datasets.layout import DataError


@pytest.mark.parametrize('protocol', [2, 4, 5])
@pytest.mark.parametrize('inside', [False, True])
def test_python_files(tmp_path, protocol, inside):
    written = write_cifar10(tmp_path, protocol=protocol)
    root = str(tmp_path / CIFAR10.FOLDER if inside else tmp_path)
    train, val = CIFAR10(root, 'train'), CIFAR10(root, 'val')
    assert len(train) == 20 and len(val) == 4
    images, labels = written['data_batch_3']
    item = train[9]
    np.testing.assert_array_equal(item['inputs'], images[1])
    assert item['data_samples'].gt_label.tolist() == [labels[1]]
    assert item['data_samples'].metainfo['sample_idx'] == 9
    assert train.metainfo['classes'][3] == 'class3' and len(train.metainfo['classes']) == 10


def test_fine_labels_of_cifar100_and_fewer_classes(tmp_path):
    write_cifar100(tmp_path, per_split=300)
    full, half = CIFAR100(str(tmp_path)), CIFAR100(str(tmp_path), num_classes=50)
    assert full.metainfo['classes'][:2] == ('fine00', 'fine01')
    kept = full.labels < 50
    assert torch.equal(half.images, full.images[kept]) and torch.equal(half.labels, full.labels[kept])
    assert len(half.metainfo['classes']) == 50
    with pytest.raises(ValueError, match='num_classes=101, expected 1 to 100'):
        CIFAR100(str(tmp_path), num_classes=101)


def test_class_folders(tmp_path):
    write_class_folders(tmp_path)
    dataset = CIFAR100(str(tmp_path), 'val')
    assert dataset.metainfo['classes'] == ('ant', 'bee', 'cat') and len(dataset) == 12
    # Class i was painted in channel i of BGR; images are RGB.
    assert dataset.images.float().mean((2, 3)).argmax(1).tolist() == (2 - dataset.labels).tolist()


def test_batches_equal_single_images(tmp_path):
    write_cifar10(tmp_path)
    dataset = SeededDataset(CIFAR10(str(tmp_path)))
    loader = DataLoader(dataset, 8, sampler=ResumableSampler(dataset, seed=3), collate_fn=list)
    batch = next(iter(loader))
    order = ResumableSampler(dataset, seed=3).order(0)[:8]
    assert [item['data_samples'].sample_idx for item in batch] == order
    for item, index in zip(batch, order):
        assert torch.equal(item['inputs'], dataset[index]['inputs'])
        assert item['data_samples'].gt_label == dataset[index]['data_samples'].gt_label


class Payload:

    def __reduce__(self):
        return os.system, ('touch marker', )


def test_hostile_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path)
    path = tmp_path / CIFAR10.FOLDER / 'data_batch_2'
    path.write_bytes(pickle.dumps({b'data': Payload(), b'labels': []}, 2))
    with pytest.raises(DataError, match='data_batch_2: refused, it holds .*system'):
        CIFAR10(str(tmp_path))
    assert not (tmp_path / 'marker').exists()


def test_bad_folders_and_files_are_named(tmp_path):
    with pytest.raises(DataError, match='no CIFAR10 there.*python version.*train/<class>'):
        CIFAR10(str(tmp_path))
    with pytest.raises(ValueError, match="split='test', expected 'train' or 'val'"):
        CIFAR10(str(tmp_path), 'test')
    write_cifar10(tmp_path)
    folder = tmp_path / CIFAR10.FOLDER
    write_pickle(folder / 'data_batch_1', {b'data': np.zeros((2, 3072), np.uint8), b'labels': [0, 10]})
    with pytest.raises(DataError, match="data_batch_1: 'labels' outside 0 to 9"):
        CIFAR10(str(tmp_path))
    write_pickle(folder / 'data_batch_1', {b'data': np.zeros((2, 3000), np.uint8), b'labels': [0, 1]})
    with pytest.raises(DataError, match=r"data_batch_1: 'data' is not uint8 of shape \(2, 3072\)"):
        CIFAR10(str(tmp_path))
    write_pickle(folder / 'data_batch_1', {b'data': np.zeros((2, 3072), np.uint8), b'fine_labels': [0, 1]})
    with pytest.raises(DataError, match="data_batch_1: has no 'labels'"):
        CIFAR10(str(tmp_path))
    (folder / 'data_batch_1').unlink()
    with pytest.raises(DataError, match='data_batch_1: missing'):
        CIFAR10(str(tmp_path))


def test_an_image_of_another_size_is_named(tmp_path):
    write_class_folders(tmp_path)
    write_class_folders(tmp_path / 'other', size=(16, 16))
    (tmp_path / 'other/train/bee/0.png').replace(tmp_path / 'train/bee/zz.png')
    with pytest.raises(DataError, match=r'bee/zz\.png: uint8 \(16, 16, 3\), expected uint8 \(32, 32, 3\)'):
        CIFAR10(str(tmp_path))
