"""Finds what is wrong with a data folder before training does."""
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable

import numpy as np

from .layout import (
    FOLDERS,
    LISTS,
    MEND,
    DataError,
    Fault,
    depth_problem,
    find_frames,
    label_problem,
    read_image,
    read_list,
    require_data,
)
from .nyud import NYUDDataset


def check_frame(frame: dict[str, str]) -> list[Fault]:
    """Decodes all files of a frame (paths by key) and says what is wrong with them."""
    faults: list[Fault] = []
    arrays = {}
    for key in FOLDERS:
        if key in frame:
            try:
                arrays[key] = read_image(frame[key])
            except DataError:
                faults.append(Fault(frame[key], 'no readable image', MEND))
    image = arrays.pop('img_path', None)
    if image is None:
        return faults
    if image.dtype != np.uint8:
        faults.append(Fault(frame['img_path'], f'type {image.dtype}, expected uint8', MEND))
    for key, array in arrays.items():
        problem = (label_problem if key == 'seg_map_path' else depth_problem)(array, image.shape[:2])
        if problem:
            faults.append(Fault(frame[key], problem, MEND))
    return faults


def check_overlap(root: str) -> list[Fault]:
    """Frames that stand in both lists of a folder."""
    train, test = (os.path.join(root, name) for name in LISTS)
    if not (os.path.isfile(train) and os.path.isfile(test)):
        return []
    both = sorted({*read_list(train)} & {*read_list(test)})
    if not both:
        return []
    return [Fault(test, f'{len(both)} frames are in {train} too: {", ".join(both[:5])}',
                  'A frame may be trained on or tested on, not both: take it out of one list')]


def leaf_datasets(dataset) -> Iterator[object]:
    """The innermost data sets below wrappers (``dataset``) and concatenations (``datasets``)."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for d in inner:
        if d is None:
            yield dataset
        else:
            yield from leaf_datasets(d)


def check_datasets(datasets: Iterable, num_samples: int) -> None:
    """Checks built data sets cheaply: their lists, and ``num_samples`` evenly spread frames of each.

    Data sets of other kinds are passed over.

    Raises:
        DataError: If anything is wrong.
    """
    for dataset in (leaf for d in datasets for leaf in leaf_datasets(d)):
        if not isinstance(dataset, NYUDDataset):
            continue
        picked = np.unique(np.linspace(0, len(dataset) - 1, num_samples).astype(int))
        faults = check_overlap(dataset.data_root)
        faults += [f for i in picked for f in check_frame(dataset.get_data_info(int(i)))]
        if faults:
            raise DataError.of(faults, dataset.data_root)


def check_folder(root: str,
                 lists: Sequence[str] = LISTS,
                 required: Sequence[str] = ('img_path', 'seg_map_path', 'depth_map_path'),
                 track: Callable[[list], Iterable] = iter) -> list[Fault]:
    """Checks a whole data folder: lists, folders, and every listed frame decoded.

    Args:
        root: The folder.
        lists: The lists in it.
        required: Keys of the paths that every frame must have.
        track: Wraps the frames, to show progress.

    Raises:
        MissingDataError: If there is nothing.
    """
    require_data(root)
    folders = {key: os.path.join(root, name) for key, name in FOLDERS.items()}
    faults = check_overlap(root)
    frames = {}
    for name in lists:
        found, missing = find_frames(os.path.join(root, name), folders, required)
        faults += missing
        frames.update((tuple(frame.values()), frame) for frame in found)
    for frame in track(list(frames.values())):
        faults += check_frame(frame)
    return list(dict.fromkeys(faults))
