"""Label and depth maps as pictures: pure functions on arrays. Pictures are uint8 RGB (H, W, 3)."""
from collections.abc import Sequence

import cv2
import numpy as np

#: Least and largest height of a panel in pixels: the text beside it has one size and must be readable.
MIN_HEIGHT, MAX_HEIGHT = 240, 720
_FONT, _SIZE, _LINE, _PAD = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 18, 8
_INK, _PAPER = (30, 30, 30), 255


def paint_labels(labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Colours (H, W) integer labels by the palette; what lies outside of it (255, ignored) is black."""
    colors = np.zeros((256, 3), np.uint8)
    colors[:len(palette)] = palette
    return colors[np.where((labels >= 0) & (labels < len(palette)), labels, 255)]


def paint_depth(depth: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colours (H, W) metres from ``low`` (red, near) to ``high`` (blue, far); missing (0, NaN) is black."""
    valid = np.isfinite(depth) & (depth > 0)
    share = np.clip((np.where(valid, depth, low) - low) / max(high - low, 1e-6), 0, 1)
    color = cv2.applyColorMap(np.uint8(np.rint(255 * (1 - share))), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(valid[..., None], color, 0).astype(np.uint8)


def depth_range(*depths: np.ndarray) -> tuple[float, float]:
    """Least and largest valid metres of the first map that has any; (0, 1) if none has.

    They are at least 0.1 m apart: a constant map is not noise, and its bar stays readable.
    """
    for depth in depths:
        valid = depth[np.isfinite(depth) & (depth > 0)]
        if valid.size:
            low, high = float(valid.min()), float(valid.max())
            return low, max(high, low + 0.1)
    return 0.0, 1.0


def legend(names: Sequence[str], colors: Sequence[Sequence[int]], height: int) -> np.ndarray:
    """Colour squares with names, in as many columns as ``height`` asks for."""
    rows = max((height - 2 * _PAD) // _LINE, 1)
    columns = [list(zip(names, colors))[i:i + rows] for i in range(0, len(names), rows)] or [[]]
    return np.hstack([_legend_column(column, height) for column in columns])


def _legend_column(entries: Sequence, height: int) -> np.ndarray:
    width = max((_text_width(name) for name, _ in entries), default=0) + 22 + 2 * _PAD
    panel = np.full((height, width, 3), _PAPER, np.uint8)
    for i, (name, color) in enumerate(entries):
        y = _PAD + i * _LINE
        cv2.rectangle(panel, (_PAD, y + 2), (_PAD + 13, y + 15), [int(c) for c in color], -1)
        _write(panel, name, _PAD + 20, y + 13)
    return panel


def color_bar(low: float, high: float, height: int, ticks: int = 5) -> np.ndarray:
    """The colours of :func:`paint_depth` with metres beside them, the far end on top."""
    ramp = np.linspace(high, low, height - 4 * _PAD)
    # A ramp may start at 0 m, which paint_depth would take for missing.
    bar = paint_depth(np.maximum(ramp, 1e-6)[:, None].repeat(14, 1), low, high)
    digits = 1 if high - low >= 1 else 2
    texts = [f'{metres:.{digits}f} m' for metres in np.linspace(low, high, ticks)]
    panel = np.full((height, 14 + 3 * _PAD + max(map(_text_width, texts)), 3), _PAPER, np.uint8)
    panel[2 * _PAD:2 * _PAD + len(bar), _PAD:_PAD + 14] = bar
    for share, text in zip(np.linspace(0, 1, ticks), texts):
        y = 2 * _PAD + round((1 - share) * (len(bar) - 1))
        cv2.line(panel, (_PAD + 14, y), (_PAD + 17, y), _INK)
        _write(panel, text, 2 * _PAD + 14, y + 5)
    return panel


def fit_height(picture: np.ndarray, smooth: bool) -> np.ndarray:
    """Scales a picture to a height from :data:`MIN_HEIGHT` to :data:`MAX_HEIGHT`; most need no scaling."""
    height = min(max(len(picture), MIN_HEIGHT), MAX_HEIGHT)
    if height == len(picture):
        return picture
    size = (max(round(picture.shape[1] * height / len(picture)), 1), height)
    shrink = height < len(picture)
    method = (cv2.INTER_AREA if shrink else cv2.INTER_LINEAR) if smooth else cv2.INTER_NEAREST
    return cv2.resize(picture, size, interpolation=method)


def titled(picture: np.ndarray, title: str) -> np.ndarray:
    """Puts a line with a title above a picture."""
    width = max(picture.shape[1], _text_width(title) + 2 * _PAD)
    head = np.full((_LINE + 6, width, 3), _PAPER, np.uint8)
    _write(head, title, _PAD, _LINE - 1)
    body = np.full((len(picture), width, 3), _PAPER, np.uint8)
    body[:, :picture.shape[1]] = picture
    return np.vstack([head, body])


def side_by_side(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Joins pictures of one height with white gaps."""
    gap = np.full((len(pictures[0]), 4, 3), _PAPER, np.uint8)
    return np.hstack([part for picture in pictures for part in (picture, gap)][:-1])


def _text_width(text: str) -> int:
    return cv2.getTextSize(text, _FONT, _SIZE, 1)[0][0]


def _write(panel: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(panel, text, (x, y), _FONT, _SIZE, _INK, 1, cv2.LINE_AA)
