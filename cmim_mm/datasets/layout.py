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
from typing import NamedTuple, Optional

import cv2
import numpy as np

from cmim_mm.atomic import write_atomically

#: Key of a frame's path -> the folder that holds its files.
FOLDERS = {
    'img_path': 'image', 'seg_map_path': 'label40',
    'depth_map_path': 'depth', 'raw_depth_map_path': 'raw_depth'}
LISTS = ('train.txt', 'test.txt')
NUM_LABELS = 40
_SUFFIXES = ('.png', '.jpg', '.jpeg')
_CONVERT = 'Run the converter again (it adds only what is missing)'
MEND = 'Mend or delete the file, then convert again'


class Fault(NamedTuple):
    """Something wrong with the data: which file, what, and what to do."""
    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f'{self.path}: {self.problem}. {self.remedy}.'


class DataError(ValueError):
    """The data cannot be used; the message names the files and what to do."""

    @classmethod
    def of(cls, faults: Sequence[Fault], root: str, shown: int = 5) -> 'DataError':
        lines = [str(f) for f in faults[:shown]]
        if len(faults) > shown:
            lines.append(f'… and {len(faults) - shown} more.')
        lines.append(f'For a full report: python tools/misc/check_dataset.py --data-root {root}')
        return cls('\n'.join(lines))


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


def read_image(path: str) -> np.ndarray:
    """Decodes a file as it is stored.

    Raises:
        DataError: If it is missing, empty or no image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as e:
        raise DataError(f'{path}: cannot be read ({e.strerror}). {_CONVERT}.') from e
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise DataError(f'{path}: no readable image ({data.size} bytes). Delete it. {_CONVERT}.')
    return image


def write_png(path: str, image: np.ndarray) -> None:
    """Writes a PNG whole or not at all."""
    write_atomically(cv2.imencode('.png', image)[1].tobytes(), path, sync=False)


def encode_depth(metres: np.ndarray) -> np.ndarray:
    """Metres -> 16-bit millimetres, rounded; NaN and negative become 0, more is clipped at 65.535 m."""
    millimetres = np.nan_to_num(np.asarray(metres, np.float64) * 1000, nan=0, posinf=65535)
    return np.clip(np.rint(millimetres), 0, 65535).astype(np.uint16)


def _size_problem(array: np.ndarray, size: tuple[int, int]) -> Optional[str]:
    if array.shape != tuple(size):
        return f'shape {array.shape}, while its image has {tuple(size)}'


def label_problem(label: np.ndarray, size: tuple[int, int]) -> Optional[str]:
    """What is wrong with a stored label map whose image has ``size`` = (H, W), if anything."""
    if label.dtype != np.uint8:
        return f'type {label.dtype}, expected uint8'
    if label.size and label.max() > NUM_LABELS:
        return f'labels out of range: {sorted({*label[label > NUM_LABELS].tolist()})[:5]}, expected 0 to 40'
    return _size_problem(label, size)


def depth_problem(depth: np.ndarray, size: tuple[int, int]) -> Optional[str]:
    """What is wrong with a stored depth map whose image has ``size`` = (H, W), if anything."""
    if depth.dtype != np.uint16:
        bad = ''
        if depth.dtype.kind == 'f':
            bad = f' ({np.isnan(depth).sum()} NaN and {(depth < 0).sum()} negative pixels)'
        return f'type {depth.dtype}{bad}, expected uint16 in millimetres'
    if not depth.any():
        return 'empty: no pixel has a depth'
    return _size_problem(depth, size)


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
