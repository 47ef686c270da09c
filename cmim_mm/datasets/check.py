"""Finds what is wrong with a data folder before training does."""
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable, Optional

import numpy as np
from mmengine.logging import print_log

from cmim_mm.data_error import DataError, Fault
from cmim_mm.reader import read_image, read_label

from .image_folder import ImageFolder
from .layout import FOLDERS, LISTS, find_frames, load_depth, load_label, read_list, require_data
from .nyud import NYUDDataset
from .survey import Arrays, Survey, has_labels


def check_frame(frame: dict[str, str]) -> tuple[list[Fault], Arrays]:
    """Reads all files of a frame (paths by key) as training does.

    Returns:
        What is wrong with them; and the arrays that are sound.
    """
    faults: list[Fault] = []

    def attempt(read: Callable, key: str, *arguments):
        if key not in frame:
            return None
        try:
            return read(frame[key], *arguments)
        except DataError as e:
            faults.append(e.fault)
            return None

    image = attempt(read_image, 'img_path')
    if image is None:
        return faults, Arrays()
    where = image.pixels.shape[:2], image.orientation
    return faults, Arrays(
        image.pixels, attempt(load_label, 'seg_map_path', *where),
        *(attempt(load_depth, key, *where) for key in ('depth_map_path', 'raw_depth_map_path')))


def check_images(paths: Iterable[str]) -> list[Fault]:
    """Decodes images that have no maps."""
    return [fault for path in paths for fault in check_frame({'img_path': path})[0]]


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

    What is unlikely of the values is logged as a warning. Data sets of other kinds are passed over.

    Raises:
        DataError: If anything is wrong.
    """
    for dataset in (leaf for d in datasets for leaf in leaf_datasets(d)):
        if isinstance(dataset, (NYUDDataset, ImageFolder)):
            picked = np.unique(np.linspace(0, len(dataset) - 1, num_samples).astype(int))
            frames = [dataset.get_data_info(int(i)) for i in picked]
            faults = _check_frames(dataset, frames) if isinstance(dataset, NYUDDataset) else \
                check_images(frame['img_path'] for frame in frames)
            if faults:
                raise DataError.of(faults, dataset.data_root)


def _check_frames(dataset: NYUDDataset, frames: list[dict]) -> list[Fault]:
    faults, survey = check_overlap(dataset.data_root), Survey()
    for frame in frames:
        found, arrays = check_frame(frame)
        faults += found
        survey.add(arrays)
    if not faults and 'seg_map_path' in dataset.REQUIRED:
        records = (dataset.get_data_info(i) for i in range(len(dataset)))
        # Most often the first frame answers.
        if not any(has_labels(read_label(record['seg_map_path']), record) for record in records):
            faults.append(_no_labels(dataset.ann_file, len(dataset)))
    for text in survey.warnings():
        print_log(f'{dataset.ann_file}, {len(frames)} of its frames: {text}', 'current', logging.WARNING)
    return faults


def _no_labels(ann_file: str, count: int) -> Fault:
    return Fault(ann_file, f'no pixel of its {count} frames has a label of a class that is trained on',
                 'Label maps hold 1 to 40, and 0 where a pixel is unlabelled')


def check_folder(root: str,
                 lists: Sequence[str] = LISTS,
                 required: Sequence[str] = ('img_path', 'seg_map_path', 'depth_map_path'),
                 track: Callable[[list], Iterable] = iter,
                 survey: Optional[Survey] = None) -> list[Fault]:
    """Checks a whole data folder: lists, folders, and every listed frame decoded.

    Args:
        root: The folder.
        lists: The lists in it.
        required: Keys of the paths that every frame must have.
        track: Wraps the frames, to show progress.
        survey: Takes the frames' values; its ``warnings`` tell what is unlikely.

    Raises:
        MissingDataError: If there is nothing.
    """
    require_data(root)
    folders = {key: os.path.join(root, name) for key, name in FOLDERS.items()}
    faults = check_overlap(root)
    survey = Survey() if survey is None else survey
    frames, listed = {}, {}
    for name in lists:
        found, missing = find_frames(os.path.join(root, name), folders, required)
        faults += missing
        frames.update((tuple(frame.values()), frame) for frame in found)
        listed[name] = {tuple(frame.values()) for frame in found}
    labelled = set()
    for key, frame in zip(frames, track(list(frames.values()))):
        found, arrays = check_frame(frame)
        faults += found
        survey.add(arrays)
        if arrays.label is None or has_labels(arrays.label, frame):
            labelled.add(key)
    if 'seg_map_path' in required:
        faults += [_no_labels(os.path.join(root, name), len(keys))
                   for name, keys in listed.items() if keys and not keys & labelled]
    return list(dict.fromkeys(faults))
