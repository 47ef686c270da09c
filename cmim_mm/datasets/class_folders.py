"""Class folders: ``<root>/<split>/<class>/<image>``, as ImageNet and many others come.

Folders of folders, as in Places (``train/a/attic``), are groups; the class is then 'a/attic'.
"""
import os
from collections.abc import Sequence
from typing import NamedTuple, Optional

from .layout import DataError

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.webp')


class ClassFolders(NamedTuple):
    """The images of a split: names of the K classes, and for each image its path and class index."""
    classes: tuple[str, ...]
    paths: list[str]
    labels: list[int]


def class_names(folder: str) -> tuple[str, ...]:
    """The classes below a folder, sorted; nothing if there is no such folder.

    A sub-folder is a class, unless it holds folders and no image: then its own sub-folders are.
    """
    if not os.path.isdir(folder):
        return ()
    names = []
    for entry in os.scandir(folder):
        if entry.is_dir() and not entry.name.startswith('.'):
            inner = () if _holds_image(entry.path) else class_names(entry.path)
            names += [f'{entry.name}/{name}' for name in inner] or [entry.name]
    return tuple(sorted(names))


def _holds_image(folder: str) -> bool:
    return any(entry.name.lower().endswith(SUFFIXES) for entry in os.scandir(folder))


def scan_class_folders(root: str, split: str, classes: Optional[Sequence[str]] = None) -> ClassFolders:
    """Lists the images of ``root/split``, sorted by class, then by name.

    Args:
        root: The data folder.
        split: 'train' or 'val'.
        classes: Names of the classes in their order; images of others are left out. By default the
            sorted folders of ``root/train``, so that all splits count alike, or of ``root/split``
            where there is no training split.

    Raises:
        DataError: A folder is missing or holds no image, or a class is unknown to the training split.
    """
    folder = os.path.join(root, split)
    found = class_names(folder)
    if not found:
        raise DataError(f'{folder}: no class folders there. Expected {folder}/<class>/<image>.jpg or .png; '
                        'set --data-root (data_root in the config) to the folder that holds train/ and val/')
    if classes is None:
        classes = class_names(os.path.join(root, 'train')) or found
        unknown = sorted({*found} - {*classes})
        if unknown:
            raise DataError(f'{folder}: {len(unknown)} classes are not in {root}/train: '
                            f'{", ".join(unknown[:5])}. Remove them or add their training images')
    else:
        missing = [name for name in classes if name not in found]
        if missing:
            raise DataError(f'{folder}: no folder of class {", ".join(missing[:5])}. It has '
                            f'{", ".join(found[:5])}{", …" if len(found) > 5 else ""}')
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        if name in found:
            directory = os.path.join(folder, name)
            names = sorted(n for n in os.listdir(directory) if n.lower().endswith(SUFFIXES))
            paths += [os.path.join(directory, n) for n in names]
            labels += [label] * len(names)
    if not paths:
        raise DataError(f'{folder}: no image in its class folders. Expected files in {", ".join(SUFFIXES)}')
    return ClassFolders(tuple(classes), paths, labels)
