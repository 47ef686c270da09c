"""The grids of configs/transfer are read without a complaint, and name what they need."""
from pathlib import Path

import pytest

from cmim_mm.benchmark.grid import Grid

GRIDS = sorted((Path(__file__).resolve().parents[2] / 'configs/transfer').glob('*.py'))


@pytest.mark.parametrize('path', GRIDS, ids=lambda path: path.stem)
def test_grid(path):
    grid = Grid(str(path))
    assert grid.baseline in grid.encoders and 'linear' in grid.modes and len(grid.seeds) >= 3
    options = [value for encoder in grid.encoders.values() for value in encoder.get('options', {}).values()]
    named = {value[1:-1] for value in options if isinstance(value, str) and value.startswith('{')}
    assert named <= {name for name, encoder in grid.encoders.items() if 'pretrain' in encoder}
