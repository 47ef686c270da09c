"""Procedural rooms: furniture and what hangs on walls, as boxes.

A part is a box in the frame of its piece of furniture: x along the wall, y
away from it, z up, metres. Colours are RGB in 0 to 1.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .nyud_meta import CLASSES

#: Official numbers of the 40 classes, 1 to 40.
LABEL = {name.replace(' ', '_'): number for number, name in enumerate(CLASSES[40], 1)}


class Part(NamedTuple):
    """A box with a class and a look."""

    low: tuple
    high: tuple
    label: int
    color: np.ndarray
    texture: str
    #: Pose of the frame: position of its origin, and its turn about z in radians.
    origin: tuple = (0.0, 0.0, 0.0)
    yaw: float = 0.0


def hue(rng: np.random.Generator, *families: Sequence[float]) -> np.ndarray:
    """A colour near one of the families, as RGB."""
    base = np.array(families[rng.integers(len(families))], float)
    return np.clip(base * rng.uniform(0.75, 1.2) + rng.normal(0, 0.04, 3), 0.02, 1)


WOOD = ((0.55, 0.35, 0.18), (0.4, 0.24, 0.12), (0.72, 0.55, 0.35))
CLOTH = ((0.5, 0.15, 0.15), (0.2, 0.3, 0.5), (0.45, 0.45, 0.42), (0.35, 0.42, 0.25), (0.7, 0.62, 0.5))
WHITE = ((0.92, 0.92, 0.9),)
DARK = ((0.08, 0.08, 0.09),)


def furniture(kind: str, rng: np.random.Generator) -> tuple[list[Part], float, float]:
    """Parts of one piece in its own frame, its width (x) and its depth (y)."""
    u = rng.uniform
    parts: list[Part] = []

    def add(x0, x1, y0, y1, z0, z1, name, color, texture='plain'):
        parts.append(Part((x0, y0, z0), (x1, y1, z1), LABEL[name], color, texture))

    def legs(w, d, z, name, color, t=0.05):
        for x in (0, w - t):
            for y in (0, d - t):
                add(x, x + t, y, y + t, 0, z, name, color)

    def prop(w, d, z):
        if u() < 0.5:
            x, y, s = u(0.1, w - 0.3), u(0.05, d - 0.25), u(0.12, 0.2)
            name = ('books', 'otherprop', 'box', 'paper')[rng.integers(4)]
            height = {'books': 0.12, 'paper': 0.01}.get(name, u(0.12, 0.3))
            add(x, x + s, y, y + s, z, z + height, name, hue(rng, *CLOTH, *WHITE), 'stripes')

    wood = hue(rng, *WOOD)
    if kind == 'bed':
        w, d, z = u(1.0, 1.8), u(1.9, 2.1), u(0.4, 0.6)
        cloth = hue(rng, *CLOTH, *WHITE)
        add(0, w, 0.05, d, 0, z * 0.5, 'bed', wood, 'wood')
        add(
            0.02,
            w - 0.02,
            0.08,
            d - 0.02,
            z * 0.5,
            z,
            'bed',
            cloth,
            ('plain', 'checks', 'stripes')[rng.integers(3)],
        )
        add(0, w, 0, 0.06, 0, z + u(0.3, 0.6), 'bed', wood, 'wood')
        for i in range(2 if w > 1.3 else 1):
            add(0.1 + i * w / 2, 0.55 + i * w / 2, 0.1, 0.45, z, z + 0.14, 'pillow', hue(rng, *WHITE, *CLOTH))
    elif kind == 'sofa':
        w, d, z = u(1.4, 2.2), u(0.8, 0.95), u(0.38, 0.46)
        cloth, look = hue(rng, *CLOTH), ('noise', 'plain')[rng.integers(2)]
        add(0, w, 0, d, 0.05, z, 'sofa', cloth, look)
        add(0, w, 0, 0.25, z, z + 0.4, 'sofa', cloth, look)
        add(0, 0.2, 0, d, z, z + 0.2, 'sofa', cloth, look)
        add(w - 0.2, w, 0, d, z, z + 0.2, 'sofa', cloth, look)
        for x in rng.permutation([0.25, w / 2, w - 0.65])[: rng.integers(3)]:
            add(x, x + 0.4, 0.26, 0.42, z, z + 0.35, 'pillow', hue(rng, *CLOTH, *WHITE))
    elif kind in ('table', 'desk'):
        w, d, z = u(0.9, 1.6), u(0.6, 0.9), u(0.68, 0.78) if kind == 'desk' or u() < 0.6 else u(0.4, 0.5)
        add(0, w, 0, d, z - 0.05, z, kind, wood, 'wood')
        legs(w, d, z - 0.05, kind, wood)
        if kind == 'desk':
            add(0.05, 0.45, 0.05, d - 0.05, 0.1, z - 0.05, 'desk', wood, 'drawers')
            if u() < 0.6:
                add(w / 2, w / 2 + 0.5, 0.1, 0.16, z + 0.1, z + 0.42, 'television', hue(rng, *DARK), 'screen')
        prop(w, d, z)
    elif kind == 'chair':
        w, d, z = u(0.4, 0.5), u(0.4, 0.5), u(0.42, 0.48)
        seat = hue(rng, *WOOD, *CLOTH, *DARK)
        add(0, w, 0, d, z - 0.06, z, 'chair', seat)
        add(0, w, 0, 0.06, z, z + u(0.35, 0.5), 'chair', seat, ('plain', 'stripes')[rng.integers(2)])
        legs(w, d, z - 0.06, 'chair', seat * 0.7, 0.04)
    elif kind in ('cabinet', 'dresser', 'night_stand', 'refridgerator', 'counter'):
        w, d, z, family, look = {
            'cabinet': (u(0.8, 1.4), u(0.4, 0.6), u(1.2, 2.1), WOOD + WHITE, 'doors'),
            'dresser': (u(0.9, 1.4), u(0.4, 0.5), u(0.8, 1.1), WOOD, 'drawers'),
            'night_stand': (u(0.4, 0.55), u(0.35, 0.45), u(0.5, 0.65), WOOD, 'drawers'),
            'refridgerator': (u(0.6, 0.8), u(0.6, 0.75), u(1.5, 1.9), WHITE + ((0.6, 0.62, 0.64),), 'doors'),
            'counter': (u(1.4, 2.6), u(0.55, 0.65), u(0.85, 0.95), WOOD + WHITE, 'doors'),
        }[kind]
        color = hue(rng, *family)
        body = 'cabinet' if kind == 'counter' else kind
        add(0, w, 0, d, 0, z, body, color, look)
        if kind == 'counter':
            stone = hue(rng, (0.3, 0.3, 0.32), (0.75, 0.7, 0.62))
            add(-0.02, w + 0.02, 0, d + 0.03, z, z + 0.05, 'counter', stone, 'noise')
            add(0, w, 0, 0.35, z + 0.6, z + 1.2, 'cabinet', color, 'doors')
        if kind == 'dresser' and u() < 0.7:
            add(0.1, w - 0.1, 0, 0.04, z + 0.05, z + 0.8, 'mirror', hue(rng, (0.6, 0.7, 0.75)), 'gradient')
        if kind == 'night_stand':
            add(w / 2 - 0.02, w / 2 + 0.02, 0.15, 0.19, z, z + 0.25, 'lamp', hue(rng, *DARK))
            add(
                w / 2 - 0.13,
                w / 2 + 0.13,
                0.06,
                0.3,
                z + 0.25,
                z + 0.45,
                'lamp',
                hue(rng, (1.0, 0.9, 0.65)),
                'glow',
            )
        elif kind != 'refridgerator' and z < 1.3:
            prop(w, d, z + (0.05 if kind == 'counter' else 0))
    elif kind in ('bookshelf', 'shelves'):
        w, d, z, n = u(0.7, 1.2), u(0.25, 0.35), u(1.4, 2.1), int(rng.integers(3, 6))
        add(0, w, 0, 0.02, 0, z, kind, wood, 'wood')
        for x in (0, w - 0.03):
            add(x, x + 0.03, 0, d, 0, z, kind, wood, 'wood')
        for i in range(n + 1):
            add(0, w, 0, d, i * (z - 0.03) / n, i * (z - 0.03) / n + 0.03, kind, wood, 'wood')
        for i in range(n):
            if kind == 'bookshelf' and u() < 0.8:
                x1 = u(0.5, 0.97) * w
                add(
                    0.04,
                    x1,
                    0.03,
                    d - 0.05,
                    i * z / n + 0.03,
                    i * z / n + 0.65 * z / n,
                    'books',
                    hue(rng, *CLOTH),
                    'books',
                )
            elif u() < 0.5:
                x = u(0.05, w - 0.3)
                add(
                    x,
                    x + 0.22,
                    0.05,
                    d - 0.05,
                    i * z / n + 0.03,
                    i * z / n + 0.5 * z / n,
                    'box',
                    hue(rng, (0.65, 0.5, 0.3)),
                )
    elif kind == 'television':
        w, d, z = u(1.0, 1.5), u(0.4, 0.5), u(0.45, 0.6)
        add(0, w, 0, d, 0, z, 'cabinet', wood, 'drawers')
        add(
            0.1,
            w - 0.1,
            0.15,
            0.21,
            z + 0.05,
            z + 0.05 + (w - 0.2) * 0.56,
            'television',
            hue(rng, *DARK),
            'screen',
        )
    elif kind == 'lamp':
        w, d, z = 0.36, 0.36, u(1.4, 1.7)
        add(0.16, 0.2, 0.16, 0.2, 0, z, 'lamp', hue(rng, *DARK))
        add(0.03, 0.33, 0.03, 0.33, z, z + 0.28, 'lamp', hue(rng, (1.0, 0.9, 0.65)), 'glow')
    else:  # box
        w, d, z = u(0.3, 0.6), u(0.3, 0.5), u(0.25, 0.5)
        add(0, w, 0, d, 0, z, 'box', hue(rng, (0.65, 0.5, 0.3), (0.75, 0.62, 0.42)), 'plain')
    return parts, w, d


def wall_object(kind: str, rng: np.random.Generator, height: float) -> tuple[list[Part], float]:
    """Flat parts on a wall in the wall's frame, and their width."""
    u = rng.uniform

    def flat(x0, x1, z0, z1, name, color, texture, thick=0.03):
        return Part((x0, 0, z0), (x1, thick, z1), LABEL[name], color, texture)

    if kind == 'door':
        w = u(0.8, 0.95)
        return [flat(0, w, 0, min(2.05, height - 0.1), 'door', hue(rng, *WOOD, *WHITE), 'panels')], w
    if kind == 'window':
        w, z0, z1 = u(0.9, 1.8), u(0.8, 1.0), min(u(1.9, 2.2), height - 0.15)
        parts = [flat(0, w, z0, z1, 'window', hue(rng, (0.75, 0.87, 1.0)), 'panes')]
        covered = rng.integers(3)
        if covered == 0:
            parts.append(flat(0, w, u(z0, (z0 + z1) / 2), z1, 'blinds', hue(rng, *WHITE), 'slats', 0.06))
        elif covered == 1:
            cloth = hue(rng, *CLOTH)
            parts += [
                flat(x, x + 0.3, max(z0 - u(0.1, 0.7), 0.05), z1 + 0.08, 'curtain', cloth, 'folds', 0.08)
                for x in (-0.15, w - 0.15)
            ]
        return parts, w
    if kind == 'whiteboard':
        w = u(1.2, 2.0)
        return [flat(0, w, 0.9, min(1.9, height - 0.2), 'whiteboard', hue(rng, *WHITE), 'scribble')], w
    if kind == 'mirror':
        w = u(0.5, 0.8)
        return [flat(0, w, 1.0, 1.8, 'mirror', hue(rng, (0.6, 0.7, 0.75)), 'gradient')], w
    w, z = u(0.35, 0.8), u(1.3, 1.6)
    return [flat(0, w, z, z + u(0.3, 0.6), 'picture', hue(rng, *CLOTH), 'painting')], w
