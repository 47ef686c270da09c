"""Predictions of all encoders side by side, on one scale, with the ground truth."""
import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from cmim_mm.visualization.panels import color_bar, depth_range, paint_depth, paint_labels

from .store import Store
from .summary import Summary

WIDTH = 320


class Picture(NamedTuple):
    """A picture for the page: its caption, and the source of an ``img``."""
    caption: str
    source: str


class Strip(NamedTuple):
    """One test image: the picture itself, the truth, and what each encoder makes of it."""
    name: str
    pictures: list[Picture]
    legend: list[tuple[str, str]]


def painted_strips(store: Store, summary: Summary, task: str) -> list[Strip]:
    """Of a task's first mode, largest share and first seed."""
    rows = list(summary.cells(task, summary.distinct('mode', task)[0], max(summary.distinct('share', task))))
    files = {row.key.encoder: store.run_folder(row.runs[0]) / 'images.npz' for row in rows}
    files = {encoder: path for encoder, path in files.items() if path.is_file()}
    if not files:
        return []
    found = {encoder: _load(path) for encoder, path in files.items()}
    first = next(iter(found.values()))
    names = [key.partition('/')[2] for key in first if key.startswith('image/')]
    return [_strip(name, found) for name in names]


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {key: file[key] for key in file.files if '/' in key or key in ('classes', 'palette')}


def _strip(name: str, found: Mapping[str, Mapping[str, np.ndarray]]) -> Strip:
    first = next(iter(found.values()))
    pictures = [Picture('image', _source(first[f'image/{name}'][..., ::-1], '.jpg'))]
    maps = {encoder: arrays for encoder, arrays in found.items() if f'image/{name}' in arrays}
    if f'gt_sem_seg/{name}' in first and 'palette' in first:
        truth, palette = first[f'gt_sem_seg/{name}'], first['palette'].tolist()
        layers = {'ground truth': truth, **{e: arrays[f'pred_sem_seg/{name}'] for e, arrays in maps.items()}}
        pictures += [Picture(title, _source(paint_labels(labels, palette)))
                     for title, labels in layers.items()]
        return Strip(name, pictures, _legend(layers.values(), first['classes'], palette))
    if f'gt_depth_map/{name}' in first:
        layers = {'ground truth': first[f'gt_depth_map/{name}'],
                  **{e: arrays[f'pred_depth_map/{name}'] for e, arrays in maps.items()}}
        metres = {title: depth / 1000 for title, depth in layers.items()}
        low, high = depth_range(metres['ground truth'])
        pictures += [Picture(title, _source(paint_depth(depth, low, high)))
                     for title, depth in metres.items()]
        pictures.append(Picture('scale', _source(color_bar(low, high, 240))))
    return Strip(name, pictures, [])


def _legend(layers: Sequence[np.ndarray], classes: np.ndarray, palette: list) -> list[tuple[str, str]]:
    present = np.unique(np.stack([*layers]))
    return [(str(classes[i]), '#{:02x}{:02x}{:02x}'.format(*palette[i])) for i in present if i < len(classes)]


def _source(picture: np.ndarray, suffix: str = '.png') -> str:
    height, width = picture.shape[:2]
    if width > WIDTH:
        method = cv2.INTER_AREA if suffix == '.jpg' else cv2.INTER_NEAREST
        picture = cv2.resize(picture, (WIDTH, round(height * WIDTH / width)), interpolation=method)
    data = cv2.imencode(suffix, np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()
    kind = 'jpeg' if suffix == '.jpg' else 'png'
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
