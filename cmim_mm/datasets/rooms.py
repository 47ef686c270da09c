"""Procedural rooms in NYUD-v2's layout: a synthetic stand-in where the real data is not at hand.

Deterministic: scene i of a seed is the same whatever the number of scenes or
of processes. Labels and depth are exact; ``raw_depth`` has holes as a sensor's.
"""

import json
import multiprocessing
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Union

import cv2
import numpy as np
from rich.progress import track

from cmim_mm.atomic import write_atomically

from .layout import FOLDERS, DataError, encode_depth, write_png
from .rooms_furniture import LABEL
from .rooms_render import Camera, inside, random_camera, render
from .rooms_scene import Scene, make_scene

ABOUT = """Synthetic images: procedural rooms made by cmim_mm (tools/dataset_converters/rooms.py).
They are not NYUD-v2, and figures measured on them say so.
"""
#: Every fifth scene is for testing.
TEST_EVERY = 5


def make_room(seed: int, index: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Scene ``index`` of ``seed``.

    Returns:
        image (H, W, 3) uint8 BGR; label40 (H, W) uint8, 1 to 40; depth and raw_depth (H, W) float32
        metres, 0 = missing (in raw_depth only).
    """
    rng = np.random.default_rng((seed, index))
    scene = make_scene(rng)
    camera = random_camera(scene, rng)
    while not _worth_seeing(scene, camera):
        scene = make_scene(rng)
        camera = random_camera(scene, rng)
    image, label, depth = render(scene, camera, height, width, rng)
    return {'image': image, 'label40': label, 'depth': depth, 'raw_depth': sensor(label, depth, rng)}


def _worth_seeing(scene: Scene, camera: Camera) -> bool:
    """Judges by a small preview, so that the scenes are the same at every size."""
    if inside(scene, camera.position):
        return False
    _, label, depth = render(scene, camera, 48, 64, np.random.default_rng(0))
    share = np.bincount(label.ravel(), minlength=41) / label.size
    bare = share[[LABEL['wall'], LABEL['floor'], LABEL['ceiling']]].sum() > 0.85
    return np.percentile(depth, 5) > 0.5 and (share > 0.005).sum() >= 5 and not bare


def sensor(label: np.ndarray, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Depth with a structured-light sensor's holes: at depth steps, on glass and screens, far away."""
    step = cv2.dilate(depth, np.ones((3, 3))) - cv2.erode(depth, np.ones((3, 3))) > 0.12 * depth
    shiny = np.isin(label, [LABEL[name] for name in ('mirror', 'window', 'television')])
    lost = step | (shiny & (rng.uniform(size=depth.shape) < 0.6)) | (depth > 8)
    return np.where(lost, 0, depth).astype(np.float32)


def write_rooms(
    out: Union[str, Path], num: int = 500, size: tuple[int, int] = (240, 320), seed: int = 0, workers: int = 2
) -> None:
    """Writes ``num`` scenes of ``size`` (height, width); finished ones of an interrupted run are kept.

    Raises:
        DataError: The folder holds something else, or a size or number is too small.
    """
    out = Path(out)
    if num < TEST_EVERY or min(size) < 32:
        raise DataError(
            f'{num} scenes of {size[0]}x{size[1]}: expected at least {TEST_EVERY} scenes of 32x32'
        )
    recipe = {'generator': 1, 'seed': seed, 'size': list(size)}
    _claim(out, recipe)
    names = [f'{i:04d}' for i in range(1, num + 1)]
    missing = [i for i, name in enumerate(names, 1) if not _finished(out, name)]
    write = partial(_write_room, out, seed, size)
    if workers < 2:
        _consume(map(write, missing), len(missing))
    else:
        # Not forked: a child of a process whose threads hold locks can wait forever.
        with multiprocessing.get_context('spawn').Pool(workers) as pool:
            _consume(pool.imap_unordered(write, missing, chunksize=4), len(missing))
    test = names[TEST_EVERY - 1 :: TEST_EVERY]
    for split, chosen in (('train', sorted(set(names) - set(test))), ('test', test)):
        write_atomically(('\n'.join(chosen) + '\n').encode(), out / f'{split}.txt')


def _consume(done: Iterable, total: int) -> None:
    for _ in track(done, 'rooms', total=total):
        pass


def _claim(out: Path, recipe: dict) -> None:
    """Makes the folder, or makes sure that it was made by this recipe."""
    marker = out / 'rooms.json'
    if marker.exists():
        found = json.loads(marker.read_text())
        if found != recipe:
            raise DataError(
                f'{out}: holds rooms of {found}, asked for are {recipe}. Choose another folder, '
                'or delete this one.'
            )
    elif out.exists() and any(out.iterdir()):
        raise DataError(f'{out}: is not empty and was not made by this generator. Choose another folder.')
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(json.dumps(recipe).encode(), marker)  # first: a restart knows the folder by it
    write_atomically(ABOUT.encode(), out / 'README.txt')
    for kind in FOLDERS.values():
        (out / kind).mkdir(exist_ok=True)


def _finished(out: Path, name: str) -> bool:
    return all((out / kind / f'{name}.png').exists() for kind in FOLDERS.values())


def _write_room(out: Path, seed: int, size: tuple[int, int], index: int) -> None:
    cv2.setNumThreads(1)
    for kind, array in make_room(seed, index, *size).items():
        write_png(str(out / kind / f'{index:04d}.png'), encode_depth(array) if 'depth' in kind else array)
