"""The data folder: what lies where, and what a sound file looks like.

    image/NNNN.png|jpg     8-bit colour
    label40/NNNN.png       8-bit, 0 = unlabelled, 1 to 40
    depth/NNNN.png         16-bit, millimetres, 0 = missing
    raw_depth/NNNN.png     the same, as the sensor gave it (optional; for evaluation)
    train.txt, test.txt    one NNNN a line
"""
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cmim_mm.atomic import write_atomically
from cmim_mm.data_error import DataError, Fault
from cmim_mm.reader import pairing_problem, read_depth, read_label

#: Key of a frame's path -> the folder that holds its files.
FOLDERS = {
    'img_path': 'image', 'seg_map_path': 'label40',
    'depth_map_path': 'depth', 'raw_depth_map_path': 'raw_depth'}
LISTS = ('train.txt', 'test.txt')
NUM_LABELS = 40
_SUFFIXES = ('.png', '.jpg', '.jpeg')
_CONVERT = 'Run the converter again (it adds only what is missing)'


class MissingDataError(DataError):
    """There is no data at all; the message says how to get some."""

    def __init__(self, root: str):
        super().__init__(
            f'No data in {root!r}.\n'
            'NYUD-v2: python tools/dataset_converters/nyud.py nyu_depth_v2_labeled.mat --download '
            '-o data/nyud (2.8 GB; then --data-root data/nyud)\n'
            'Synthetic rooms instead: python tools/dataset_converters/rooms.py -o data/rooms, '
            'then add --data-root data/rooms')


def require_data(root: str) -> None:
    """Raises :class:`MissingDataError` unless ``root`` is a folder with something in it."""
    if not (root and os.path.isdir(root) and os.listdir(root)):
        raise MissingDataError(root)


def write_png(path: str, image: np.ndarray) -> None:
    """Writes a PNG whole or not at all."""
    write_atomically(cv2.imencode('.png', image)[1].tobytes(), path, sync=False)


def encode_depth(metres: np.ndarray) -> np.ndarray:
    """Metres -> 16-bit millimetres, rounded; NaN and negative become 0, more is clipped at 65.535 m."""
    millimetres = np.nan_to_num(np.asarray(metres, np.float64) * 1000, nan=0, posinf=65535)
    return np.clip(np.rint(millimetres), 0, 65535).astype(np.uint16)


def load_label(path: str, size: tuple[int, int], orientation: int = 1) -> np.ndarray:
    """Reads the label map, uint8 (H, W), of an image.

    Args:
        path: The file.
        size: (H, W) of the image, turned as its EXIF flag says.
        orientation: That flag.

    Raises:
        DataError: It is no label map (see :func:`cmim_mm.reader.read_label`), holds labels outside 0 to 40,
            or does not lie on the image.
    """
    label = read_label(path)
    if label.max() > NUM_LABELS:
        bad = sorted({*label[label > NUM_LABELS].tolist()})[:5]
        raise DataError.one(path, f'labels out of range: {bad}, expected 0 to {NUM_LABELS}')
    return _paired(path, label, size, orientation)


def load_depth(path: str, size: tuple[int, int], orientation: int = 1) -> np.ndarray:
    """Reads the depth map, uint16 (H, W) in millimetres, of an image; arguments as in :func:`load_label`.

    Raises:
        DataError: It is unreadable, of another type, empty, or does not lie on the image.
    """
    depth = read_depth(path)
    if depth.dtype != np.uint16:
        bad = ''
        if depth.dtype.kind == 'f':
            bad = f' ({np.isnan(depth).sum()} NaN and {(depth < 0).sum()} negative pixels)'
        raise DataError.one(path, f'type {depth.dtype}{bad}, expected uint16 in millimetres')
    if not depth.any():
        raise DataError.one(path, 'empty: no pixel has a depth')
    return _paired(path, depth, size, orientation)


def _paired(path: str, array: np.ndarray, size: tuple[int, int], orientation: int) -> np.ndarray:
    problem = pairing_problem(array, size, orientation)
    if problem:
        raise DataError.one(path, problem)
    return array


def read_list(path: str) -> list[str]:
    """The frames that a list names; blank lines do not count."""
    return [line.strip() for line in Path(path).read_text().splitlines() if line.strip()]


def _index(folder: str) -> dict[str, list[str]]:
    """Stem -> file names of the images of a folder."""
    index: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in _SUFFIXES:
            index.setdefault(stem, []).append(name)
    return index


def find_frames(ann_file: str, folders: dict[str, str],
                required: Sequence[str]) -> tuple[list[dict[str, str]], list[Fault]]:
    """Looks up the files of every frame that a list names, without opening them.

    Args:
        ann_file: The list.
        folders: Key of a path -> folder, see :data:`FOLDERS`. A folder that is not there is left out...
        required: ...unless its key stands here.

    Returns:
        For each frame the paths by key; and all faults found.
    """
    faults = [Fault(folders[key], 'no such folder', _CONVERT)
              for key in required if not os.path.isdir(folders[key])]
    if not os.path.isfile(ann_file):
        faults.append(Fault(ann_file, 'no such list', _CONVERT))
        return [], faults
    names = read_list(ann_file)
    if not names:
        faults.append(Fault(ann_file, 'names no frame', 'Write one NNNN a line, or convert again'))
    for name, count in Counter(names).items():
        if count > 1:
            faults.append(Fault(ann_file, f'names frame {name} {count} times', 'Keep one of the lines'))

    frames: list[dict[str, str]] = [{} for _ in names]
    for key, folder in folders.items():
        if not os.path.isdir(folder):
            continue
        index = _index(folder)
        for frame, name in zip(frames, names):
            files = index.get(name, [])
            if len(files) == 1:
                frame[key] = os.path.join(folder, files[0])
            elif files:
                faults.append(Fault(os.path.join(folder, name), f'ambiguous: {files}', 'Keep one of them'))
            else:
                faults.append(Fault(os.path.join(folder, f'{name}.png'), f'missing, but named in {ann_file}',
                                    f'{_CONVERT}, or take the line out of the list'))
    return frames, faults
