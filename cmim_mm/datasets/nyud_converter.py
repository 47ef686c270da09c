"""``nyu_depth_v2_labeled.mat`` -> the layout of :mod:`cmim_mm.datasets.layout`."""
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmengine.utils import ProgressBar

from cmim_mm.atomic import write_atomically

from .layout import FOLDERS, DataError, encode_depth, write_png
from .nyud_meta import MAP_894_TO_40, NUM_FRAMES, SPLIT

URL = 'https://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat'
NUM_BYTES = 2_972_037_809
_KEYS = ('images', 'labels', 'depths', 'rawDepths')
_AGAIN = f'The official file has {NUM_BYTES:,} bytes; fetch it with --download'
#: Most frames to read at once: 32 of 480x640 take 125 MB.
_MAX_BLOCK = 32


class ConversionError(DataError):
    """The file cannot be converted; the message names it and says what to do."""


def convert(mat: str, out: str) -> dict[str, int]:
    """Writes all frames of the official file, of any size, as PNG.

    Frames stream through memory in blocks, well below 1 GB. Each file appears whole or not at all
    and the lists come last, so after an interruption the same call goes on
    where it stopped.

    Args:
        mat: The HDF5 (MATLAB v7.3) file: ``images`` (N, 3, W, H) uint8 RGB,
            ``labels`` (N, W, H) raw ids, 0 = unlabelled, ``depths`` and
            ``rawDepths`` (N, W, H) metres. N = 1449; fewer give a warning and
            lists of the frames that are there.
        out: The folder to fill.

    Returns:
        How many frames each list names, how many were written ``now``, and how
        many pixels had ``bad_depth`` (NaN or negative: stored as 0 = missing).

    Raises:
        ConversionError: If the file or ``out`` is not as described, or without h5py.
    """
    with _open(mat) as f:
        count, size = _check(f, mat)
        _claim(out, {'bytes': os.path.getsize(mat), 'frames': count, 'size': list(size)})
        numbers = range(1, count + 1)
        todo = [n for n in numbers if not all(os.path.isfile(path) for path in _paths(out, n))]
        bad_depth = 0
        if todo:
            bar = ProgressBar(len(todo))
            for number, frame in _frames(f, mat, todo):
                bad_depth += _write_frame(frame, _paths(out, number), f'{mat}: frame {number}')
                bar.update()
            print()
    result = {'now': len(todo), 'bad_depth': bad_depth}
    for split, members in SPLIT.items():
        names = [f'{n:04d}\n' for n in sorted(members) if n <= count]
        write_atomically(''.join(names).encode(), os.path.join(out, f'{split}.txt'))
        result[split] = len(names)
    return result


def _open(mat: str):
    try:
        import h5py
    except ImportError as e:
        raise ConversionError(f'{mat}: reading it needs h5py: pip install h5py') from e
    if not os.path.isfile(mat):
        raise ConversionError(f'{mat}: no such file. Fetch it with --download')
    actual = f'it has {os.path.getsize(mat):,} bytes. {_AGAIN}'
    if not h5py.is_hdf5(mat):
        raise ConversionError(f'{mat}: not HDF5 (MATLAB v7.3), expected nyu_depth_v2_labeled.mat; {actual}')
    try:
        return h5py.File(mat, 'r')
    except OSError as e:
        raise ConversionError(f'{mat}: cannot be opened, most likely truncated ({e}); {actual}') from e


def _check(f, mat: str) -> tuple[int, tuple[int, int]]:
    """Number of frames and their (H, W)."""
    missing = [key for key in _KEYS if key not in f]
    if missing:
        raise ConversionError(f'{mat}: lacks {missing}, it holds {sorted(f)[:12]}. {_AGAIN}')
    shape = f['images'].shape
    count, width, height = shape[0], *shape[-2:]
    expected = dict.fromkeys(_KEYS, (count, width, height))
    expected['images'] = (count, 3, width, height)
    shapes = {key: f[key].shape for key in _KEYS}
    if shapes != expected or f['images'].dtype != np.uint8:
        raise ConversionError(f'{mat}: expected images (N, 3, W, H) of uint8 and {list(_KEYS[1:])} (N, W, H) '
                              f"of one size, found {shapes}, images of {f['images'].dtype}. {_AGAIN}")
    if not 0 < count <= NUM_FRAMES:
        raise ConversionError(f'{mat}: {count} frames, expected {NUM_FRAMES}. {_AGAIN}')
    if count < NUM_FRAMES:
        warnings.warn(f'{mat}: {count} frames, the official file has {NUM_FRAMES}; the lists name these only')
    return count, (height, width)


def _claim(out: str, source: dict) -> None:
    """Makes ``out``, or makes sure that what is in it came from the same file."""
    mark = os.path.join(out, 'source.json')
    if os.path.isfile(mark):
        earlier = json.loads(Path(mark).read_text())
        if earlier != source:
            raise ConversionError(f'{out}: was made from another file ({earlier}, now {source}). '
                                  'Give another folder with -o, or delete this one')
    elif os.path.isdir(out) and os.listdir(out):
        raise ConversionError(f'{out}: holds something else already. Give another folder with -o')
    for folder in FOLDERS.values():
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    write_atomically(json.dumps(source).encode(), mark)


def _paths(out: str, number: int) -> list[str]:
    return [os.path.join(out, folder, f'{number:04d}.png') for folder in FOLDERS.values()]


def _frames(f, mat: str, numbers: list[int]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Frames by number; read by whole chunks, as one may span frames and is unpacked at each access."""
    wanted = set(numbers)
    block = min(_MAX_BLOCK, max(f[key].chunks[0] if f[key].chunks else 1 for key in _KEYS))
    for start in range(0, max(numbers), block):
        rows = [k for k in range(start, start + block) if k + 1 in wanted]
        if not rows:
            continue
        try:
            arrays = {key: f[key][start:start + block] for key in _KEYS}
        except OSError as e:
            raise ConversionError(f'{mat}: frames {start + 1} to {start + block} cannot be read, the file is '
                                  f'damaged ({e}). Frames before are kept. {_AGAIN}') from e
        for k in rows:
            yield k + 1, {key: array[k - start] for key, array in arrays.items()}


def _write_frame(frame: dict[str, np.ndarray], paths: list[str], where: str) -> int:
    """Writes a frame's files in the order of FOLDERS; returns the number of NaN or negative depths."""
    labels = frame['labels'].T
    if labels.max() >= len(MAP_894_TO_40):
        raise ConversionError(f'{where}: label {labels.max()}, expected 0 to 894. {_AGAIN}')
    depths = [frame[key].T for key in ('depths', 'rawDepths')]
    image = cv2.cvtColor(np.ascontiguousarray(frame['images'].transpose(2, 1, 0)), cv2.COLOR_RGB2BGR)
    for path, array in zip(paths, [image, MAP_894_TO_40[labels], *map(encode_depth, depths)]):
        write_png(path, array)
    return sum(int((~(depth >= 0)).sum()) for depth in depths)
