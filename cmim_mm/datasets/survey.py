"""Looks at the values of many frames together: each file may be sound and the data still wrong."""
from typing import NamedTuple, Optional

import numpy as np

from .transforms import class_table

#: Medians of depth, metres, that rooms have; a wrong unit or factor leaves this range.
MEDIAN_DEPTH = (0.8, 8.0)
#: Farther than this the depth heads predict nothing and Eigen's protocol measures nothing.
MAX_DEPTH = 10.0
#: So few distinct depths of many frames are those of an 8-bit map.
EIGHT_BITS = 256
#: Statements on what is missing need so many frames.
MANY = 8


class Arrays(NamedTuple):
    """A frame's files: image uint8 (H, W, 3); label uint8 (H, W) as stored; depths uint16 (H, W), mm."""
    image: Optional[np.ndarray] = None
    label: Optional[np.ndarray] = None
    depth: Optional[np.ndarray] = None
    raw_depth: Optional[np.ndarray] = None


def has_labels(label: np.ndarray, frame: dict) -> bool:
    """Whether a pixel of a stored map has a class that the data set of ``frame`` (its record) keeps."""
    table = class_table(frame.get('reduce_zero_label', True), frame.get('label_map'))
    return bool((table[np.unique(label)] != 255).any())


class Survey:
    """Collects distributions, one frame after another."""

    def __init__(self) -> None:
        self._labels = np.zeros(256, np.int64)
        self._depths = np.zeros(2**16, np.int64)
        self._medians: list[float] = []
        self._ratios: list[float] = []
        self._brightest: list[int] = []
        self._num_flat = 0

    def add(self, arrays: Arrays) -> None:
        """Counts what there is of a frame."""
        if arrays.image is not None:
            low, high = int(arrays.image.min()), int(arrays.image.max())
            self._brightest.append(high)
            self._num_flat += low == high
        if arrays.label is not None:
            self._labels += np.bincount(arrays.label.ravel(), minlength=256)
        if arrays.depth is not None:
            self._depths += np.bincount(arrays.depth.ravel(), minlength=2**16)
            self._medians.append(float(np.median(arrays.depth[arrays.depth > 0])) / 1000)
            if arrays.raw_depth is not None:
                both = (arrays.depth > 0) & (arrays.raw_depth > 0)
                if both.any():
                    self._ratios.append(float(np.median(arrays.raw_depth[both] / arrays.depth[both])))

    def warnings(self) -> list[str]:
        """What is unlikely, in words, each with what to look at."""
        return [*self._of_images(), *self._of_labels(), *self._of_depth()]

    def _of_images(self) -> list[str]:
        found = []
        if self._num_flat:
            found.append(f'{self._num_flat} of {len(self._brightest)} images are of one colour. Look at them')
        elif self._brightest and max(self._brightest) < 64:
            found.append(f'no image has a value above {max(self._brightest)} of 255. Are these label maps, '
                         'or images scaled to 0 to 1?')
        return found

    def _of_labels(self) -> list[str]:
        total, labelled = self._labels.sum(), self._labels[1:].sum()
        present = np.flatnonzero(self._labels[1:]) + 1
        found = []
        if labelled and labelled < 0.1 * total:
            found.append(f'{100 * labelled / total:.2g} % of the pixels have a label. Is 0 (unlabelled) a '
                         'class here? Labels count from 1')
        if len(present) == 1:
            found.append(f'the only label is {present[0]}. Is this a mask instead of a label map?')
        elif len(self._brightest) >= MANY and len(present) and present[-1] <= 13:
            found.append(f'the largest label is {present[-1]}. Are these 13 classes? label40 holds the 40, '
                         'and NYUDSegDataset(num_classes=13) maps them')
        return found

    def _of_depth(self) -> list[str]:
        valid = self._depths[1:]
        if not valid.any():
            return []
        found = []
        median = float(np.median(self._medians))
        if not MEDIAN_DEPTH[0] <= median <= MEDIAN_DEPTH[1]:
            found.append(f'the median depth is {median:.3g} m, in rooms it is 1 to 5 m. Files hold '
                         'millimetres: is the unit or a factor wrong?')
        far = valid[round(1000 * MAX_DEPTH):].sum() / valid.sum()
        if far > 0.05:
            found.append(f'{100 * far:.2g} % of the depth lies beyond {MAX_DEPTH:g} m, where depth heads '
                         'predict nothing. Is the unit millimetres? Else raise model.decode_head.max_depth')
        distinct = np.count_nonzero(valid)
        if distinct <= EIGHT_BITS < valid.sum() / 10:
            found.append(f'there are {distinct} distinct depths. Was an 8-bit map widened to 16 bits?')
        missing = 1 - valid.sum() / self._depths.sum()
        if missing > 0.7:
            found.append(f'{100 * missing:.2g} % of the depth is missing (0). Is this the raw depth?')
        if self._ratios and not 0.8 <= np.median(self._ratios) <= 1.25:
            found.append(f'raw depth is {np.median(self._ratios):.3g} times the depth. Have they one unit?')
        return found
