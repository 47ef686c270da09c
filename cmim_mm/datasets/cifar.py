"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 pixels.

Either the public python version (https://www.cs.toronto.edu/~kriz/cifar.html),
unpacked, or class folders ``train/<class>/…`` and ``val/<class>/…``.
"""
import os
from typing import Optional

import numpy as np

from cmim_mm.registry import DATASETS

from .class_folders import class_names, scan_class_folders
from .layout import DataError
from .plain_pickle import read_plain_pickle
from .small_images import SmallImageDataset, read_images


class CIFAR(SmallImageDataset):
    """What both data sets share.

    Args:
        data_root: The folder that holds the public folder (:attr:`FOLDER`), that folder itself, or one
            with class folders.
        split: 'train' or 'val' (the test images).
        num_classes: Keeps the first so many classes, for shortened runs; all by default.

    Raises:
        DataError: Nothing is found, or a file is damaged, holds code, or is not as published.
        ValueError: An unknown split, or too large a ``num_classes``.
    """
    FOLDER: str
    #: Files of each split.
    FILES: dict[str, tuple[str, ...]]
    META: str
    LABELS: str
    NAMES: str

    def __init__(self, data_root: str, split: str = 'train', num_classes: Optional[int] = None) -> None:
        if split not in self.FILES:
            raise ValueError(f"{type(self).__name__}: split={split!r}, expected 'train' or 'val'")
        folder = self._python_folder(data_root)
        read = self._read_python(folder, split) if folder else self._read_folders(data_root, split)
        super().__init__(*read, num_classes=num_classes)

    def _python_folder(self, root: str) -> Optional[str]:
        for folder in (os.path.join(root, self.FOLDER), root):
            if os.path.isfile(os.path.join(folder, self.META)):
                return folder
        return None

    def _read_folders(self, root: str, split: str) -> tuple[np.ndarray, list[int], tuple[str, ...]]:
        if not class_names(os.path.join(root, split)):
            raise DataError(
                f'{root}: no {type(self).__name__} there. Expected {self.FOLDER}/{self.META} and its '
                "neighbours (the 'python version' from https://www.cs.toronto.edu/~kriz/cifar.html, "
                f'unpacked with tar), or class folders {split}/<class>/<image>.png; then --data-root DIR')
        found = scan_class_folders(root, split)
        return read_images(found.paths), found.labels, found.classes

    def _read_python(self, folder: str, split: str) -> tuple[np.ndarray, list[int], list[str]]:
        names = _entry(os.path.join(folder, self.META), self.NAMES)
        images, labels = [], []
        for name in self.FILES[split]:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                raise DataError(f'{path}: missing. Unpack the archive again')
            content = read_plain_pickle(path)
            data, numbers = _entry(path, 'data', content), _entry(path, self.LABELS, content)
            if getattr(data, 'dtype', None) != np.uint8 or data.shape != (len(numbers), 3 * 32 * 32):
                raise DataError(f"{path}: 'data' is not uint8 of shape ({len(numbers)}, 3072). Unpack the "
                                'archive again')
            if len(numbers) and not 0 <= min(numbers) <= max(numbers) < len(names):
                raise DataError(f"{path}: '{self.LABELS}' outside 0 to {len(names) - 1}. Unpack the archive "
                                'again')
            images.append(data.reshape(-1, 3, 32, 32))
            labels += list(numbers)
        return np.concatenate(images), labels, names


def _entry(path: str, key: str, content: Optional[dict] = None):
    content = read_plain_pickle(path) if content is None else content
    if not isinstance(content, dict) or key not in content:
        raise DataError(f"{path}: has no '{key}', so it is no file of the public python version. Unpack the "
                        'archive again, and check that the config names the right CIFAR')
    return content[key]


@DATASETS.register_module()
class CIFAR10(CIFAR):
    """10 classes; arguments of :class:`CIFAR`."""
    FOLDER = 'cifar-10-batches-py'
    FILES = {'train': tuple(f'data_batch_{i}' for i in range(1, 6)), 'val': ('test_batch', )}
    META, LABELS, NAMES = 'batches.meta', 'labels', 'label_names'


@DATASETS.register_module()
class CIFAR100(CIFAR):
    """100 classes (the fine labels); arguments of :class:`CIFAR`."""
    FOLDER = 'cifar-100-python'
    FILES = {'train': ('train', ), 'val': ('test', )}
    META, LABELS, NAMES = 'meta', 'fine_labels', 'fine_label_names'
