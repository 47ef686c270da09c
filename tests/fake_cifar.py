"""Small data sets in the public layouts, written by the tests that read them."""
import pickle

import cv2
import numpy as np


def write_pickle(path, content, protocol=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))


def write_cifar10(root, per_file=4, protocol=2):
    """Folder ``cifar-10-batches-py`` with random images; returns (images, labels) by file name."""
    rng = np.random.default_rng(0)
    folder, written = root / 'cifar-10-batches-py', {}
    for name in [f'data_batch_{i}' for i in range(1, 6)] + ['test_batch']:
        data = rng.integers(0, 256, (per_file, 3072), np.uint8)
        labels = rng.integers(0, 10, per_file).tolist()
        write_pickle(folder / name, {b'data': data, b'labels': labels, b'batch_label': b'x'}, protocol)
        written[name] = data.reshape(-1, 3, 32, 32), labels
    names = [f'class{i}'.encode() for i in range(10)]
    write_pickle(folder / 'batches.meta', {b'label_names': names}, protocol)
    return written


def write_cifar100(root, per_split=8, protocol=2):
    """Folder ``cifar-100-python`` with random images."""
    rng = np.random.default_rng(1)
    folder = root / 'cifar-100-python'
    for name in ('train', 'test'):
        write_pickle(folder / name, {
            b'data': rng.integers(0, 256, (per_split, 3072), np.uint8),
            b'fine_labels': [i % 100 for i in range(per_split)],
            b'coarse_labels': rng.integers(0, 20, per_split).tolist()}, protocol)
    names = [f'fine{i:02d}'.encode() for i in range(100)]
    write_pickle(folder / 'meta', {b'fine_label_names': names}, protocol)


def write_class_folders(root, classes=('ant', 'bee', 'cat'), per_class=4, size=(32, 32)):
    """``train`` and ``val`` with images whose colour tells the class."""
    rng = np.random.default_rng(2)
    for split in ('train', 'val'):
        for i, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for j in range(per_class):
                image = rng.integers(0, 60, (*size, 3), np.uint8)
                image[..., i % 3] += 180
                cv2.imwrite(str(root / split / name / f'{j}.png'), image)
