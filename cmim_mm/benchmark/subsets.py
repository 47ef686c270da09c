"""Which training images a run sees: nested shares, and a part held out for validation."""
import math
from pathlib import Path

import numpy as np
from mmengine.config import Config

from cmim_mm.datasets.data_root import dataset_cfgs
from cmim_mm.datasets.layout import DataError, read_list, require_data

from .grid import Grid, GridError


class Subsets:
    """Writes lists of frames and sets them in configs.

    The held-out part is drawn once. What remains is put in an order drawn from the run's seed; a share of
    p % is its first ``ceil(p / 100 · n)`` frames, so that shares of one seed are nested and all encoders
    see the same images, and the interval over seeds covers the choice of images too.

    Args:
        grid: Names shares and the held-out part.
        folder: Of the grid; the lists go to ``lists/`` in it.
    """

    def __init__(self, grid: Grid, folder: Path) -> None:
        self.grid, self.folder = grid, folder
        self.files: dict[str, str] = {}
        self.train: dict[str, list[str]] = {}
        self.held_out: dict[str, list[str]] = {}
        self.test: dict[str, list[str]] = {}

    def read(self, task: str, cfg: Config) -> None:
        """Reads the lists of a task's data, and takes out the held-out part.

        Raises:
            DataError: A list or the whole folder is missing.
            GridError: The data has no lists to take shares of.
        """
        dataset = _dataset(cfg, 'train_dataloader')
        if 'ann_file' not in dataset:
            raise GridError(f"{self.grid.path}: tasks.{task}: its training data {dataset.get('type')} has no "
                            'ann_file that lists frames')
        require_data(dataset['data_root'])
        names = _read(dataset)
        self.test[task] = _read(_dataset(cfg, 'test_dataloader'))
        held_out = math.ceil(len(names) * self.grid.held_out / 100)
        chosen = {*np.random.default_rng(0).permutation(names)[:held_out].tolist()}
        self.train[task] = [name for name in names if name not in chosen]
        self.held_out[task] = [name for name in names if name in chosen]

    def painted(self, task: str) -> tuple[str, ...]:
        """Test frames to paint, evenly spread."""
        names = self.test[task]
        indices = np.linspace(0, len(names) - 1, min(self.grid.painted, len(names))).round().astype(int)
        return tuple(names[i] for i in indices)

    def set(self, cfg: Config, task: str, share: int, seed: int) -> Config:
        """A copy of ``cfg`` that trains on a share, and validates on the held-out part."""
        cfg = Config(cfg.to_dict())
        names = self.train[task]
        if share < 100:
            order = np.random.default_rng((seed, 1)).permutation(len(names))
            names = [names[i] for i in sorted(order[:math.ceil(share / 100 * len(names))])]
        if share < 100 or self.grid.held_out:
            suffix = f'_seed{seed}' if share < 100 else ''
            _dataset(cfg, 'train_dataloader')['ann_file'] = self._write(f'train_{share}{suffix}', names)
        if self.grid.held_out:
            _dataset(cfg, 'val_dataloader')['ann_file'] = self._write('held_out', self.held_out[task])
        return cfg

    def _write(self, name: str, frames: list[str]) -> str:
        text = ''.join(f'{frame}\n' for frame in frames)
        path = f'lists/{name}.txt'
        if self.files.setdefault(path, text) != text:
            raise GridError(f'{self.grid.path}: the tasks read different lists of frames; give each its grid')
        return str((self.folder / path).absolute())


def _dataset(cfg: Config, loader: str) -> dict:
    return next(dataset_cfgs({loader: cfg.get(loader)}))


def _read(dataset: dict) -> list[str]:
    path = Path(dataset['data_root']) / dataset['ann_file']
    if not path.is_file():
        raise DataError(f'{path}: no such list. Run the converter again (it adds only what is missing).')
    return read_list(str(path))
