"""A tiny data folder in NYUD-v2's layout, and ways to spoil it."""
import cv2
import numpy as np
import pytest


def write_folder(root, frames=6, size=(12, 16), suffix='.png', raw=True):
    """Frames 1 to ``frames``; the last two are the test split."""
    rng = np.random.default_rng(0)
    for name in ('image', 'label40', 'depth', 'raw_depth')[:4 if raw else 3]:
        (root / name).mkdir(parents=True)
    for n in range(1, frames + 1):
        label = rng.integers(0, 41, size).astype(np.uint8)
        label[0, :2] = 0, 40
        depth = rng.integers(500, 9000, size).astype(np.uint16)
        holes = np.where(rng.random(size) < 0.2, 0, depth).astype(np.uint16)
        cv2.imwrite(str(root / f'image/{n:04d}{suffix}'), rng.integers(0, 256, (*size, 3)).astype(np.uint8))
        cv2.imwrite(str(root / f'label40/{n:04d}.png'), label)
        cv2.imwrite(str(root / f'depth/{n:04d}.png'), depth)
        if raw:
            cv2.imwrite(str(root / f'raw_depth/{n:04d}.png'), holes)
    names = [f'{n:04d}\n' for n in range(1, frames + 1)]
    (root / 'train.txt').write_text(''.join(names[:-2]))
    (root / 'test.txt').write_text(''.join(names[-2:]))
    return root


@pytest.fixture
def make_folder(tmp_path):
    return lambda **kwargs: write_folder(tmp_path / 'nyud', **kwargs)


@pytest.fixture
def folder(make_folder):
    return make_folder()
