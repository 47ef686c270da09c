"""What the whole suite shares: a tiny folder in NYUD-v2's layout."""
from pathlib import Path

import pytest

import cmim_mm  # noqa: F401  (before any import of mmseg)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope='session')
def rooms_root(tmp_path_factory) -> Path:
    """Eight procedural rooms of 64x96 pixels."""
    from cmim_mm.datasets.rooms import write_rooms
    root = tmp_path_factory.mktemp('rooms')
    write_rooms(root, num=8, size=(64, 96), seed=0, workers=1)
    return root
