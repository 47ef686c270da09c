"""Procedural rooms: what stands where.

A scene is a room and a list of parts; everything follows from one
``numpy.random.Generator``.
"""
from typing import NamedTuple

import numpy as np

from .rooms_furniture import CLOTH, LABEL, WHITE, WOOD, Part, furniture, hue, wall_object

#: What a room of each kind may hold along its walls, and on the floor.
KINDS: dict[str, tuple[list[str], list[str]]] = {
    'bedroom': (
        ['bed', 'night_stand', 'dresser', 'cabinet', 'desk', 'bookshelf', 'night_stand', 'box'],
        ['chair'],
    ),
    'living': (
        ['sofa', 'bookshelf', 'television', 'cabinet', 'sofa', 'lamp', 'shelves'],
        ['table', 'chair', 'chair'],
    ),
    'office': (
        ['desk', 'desk', 'bookshelf', 'shelves', 'cabinet', 'box', 'box'],
        ['chair', 'chair', 'table'],
    ),
    'kitchen': (
        ['counter', 'refridgerator', 'counter', 'cabinet', 'shelves'],
        ['table', 'chair', 'chair', 'chair'],
    ),
    'classroom': (['desk', 'cabinet', 'bookshelf', 'shelves'], ['table', 'chair', 'table', 'chair', 'chair']),
}
ON_WALLS = ['door', 'window', 'picture', 'picture', 'window', 'whiteboard', 'mirror', 'picture']


class Scene(NamedTuple):
    """A room of ``size`` (x, y, z) metres, its surfaces' looks, the lights, the parts."""

    size: np.ndarray
    surfaces: dict
    light: np.ndarray
    parts: list


def make_scene(rng: np.random.Generator) -> Scene:
    """Draws a room with its furniture; pieces do not overlap."""
    size = np.array([rng.uniform(2.8, 6.4), rng.uniform(3.0, 7.4), rng.uniform(2.3, 3.1)])
    kind = list(KINDS)[rng.integers(len(KINDS))]
    along, inside = KINDS[kind]
    parts: list[Part] = []
    taken: dict[str, list[tuple]] = {}

    def place(piece, w, d, origin, yaw, where='floor'):
        c, s = np.cos(yaw), np.sin(yaw)
        corners = (
            np.array([[x, y] for x in (0, w) for y in (0, d)]) @ np.array([[c, s], [-s, c]]) + origin[:2]
        )
        low, high = corners.min(0), corners.max(0)
        if (low < -0.01).any() or (high > size[:2] + 0.01).any():
            return
        if any((low < t[1]).all() and (high > t[0]).all() for t in taken.get(where, ())):
            return
        taken.setdefault(where, []).append((low, high))
        parts.extend(part._replace(origin=origin, yaw=yaw) for part in piece)

    def wall_frame(w, d):
        """Origin and yaw of a piece of width w with its back to a random wall."""
        side = rng.integers(4)
        at = rng.uniform(0, max((size[0] if side % 2 == 0 else size[1]) - w, 0))
        return [
            ((at, 0.0, 0.0), 0.0),
            ((size[0], at, 0.0), np.pi / 2),
            ((at + w, size[1], 0.0), np.pi),
            ((0.0, at + w, 0.0), -np.pi / 2),
        ][side]

    for name in rng.permutation(along * 2)[: rng.integers(5, 11)]:
        piece, w, d = furniture(str(name), rng)
        place(piece, w, d, *wall_frame(w, d))
    for name in rng.permutation(inside)[: rng.integers(1, 4)]:
        piece, w, d = furniture(str(name), rng)
        origin = (rng.uniform(0.3, size[0] - 0.3), rng.uniform(0.3, size[1] - 0.3), 0.0)
        place(piece, w, d, origin, rng.uniform(0, 2 * np.pi))
    for name in rng.permutation(ON_WALLS)[: rng.integers(3, 7)]:
        piece, w = wall_object(str(name), rng, size[2])
        place(piece, w, 0.03, *wall_frame(w, 0.03), 'wall')
    if rng.uniform() < 0.5:
        w, d = rng.uniform(1.0, 2.0), rng.uniform(0.8, 1.6)
        mat = Part((0, 0, 0), (w, d, 0.015), LABEL['floor_mat'], hue(rng, *CLOTH), 'checks')
        place([mat], w, d, (rng.uniform(0.2, 2), rng.uniform(0.2, 2), 0.0), 0.0, 'on the floor')
    surfaces = {
        'wall': (
            LABEL['wall'],
            hue(rng, (0.82, 0.78, 0.68), (0.72, 0.76, 0.78), (0.9, 0.88, 0.84), (0.7, 0.6, 0.5)),
            ('noise', 'noise', 'wallpaper', 'bricks')[rng.integers(4)],
        ),
        'floor': (
            LABEL['floor'],
            hue(rng, *WOOD, (0.5, 0.48, 0.45), (0.4, 0.35, 0.35)),
            ('planks', 'tiles', 'noise')[rng.integers(3)],
        ),
        'ceiling': (LABEL['ceiling'], hue(rng, *WHITE), ('noise', 'tiles')[int(rng.uniform() < 0.25)]),
    }
    light = np.array([size[0] * rng.uniform(0.3, 0.7), size[1] * rng.uniform(0.3, 0.7), size[2] - 0.1])
    return Scene(size, surfaces, light, parts)
