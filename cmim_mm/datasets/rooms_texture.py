"""Procedural rooms: textures as functions of the place on a face."""
import numpy as np


def paint(
    texture: str,
    a: np.ndarray,
    b: np.ndarray,
    height: float,
    unit_a: np.ndarray = 0.0,
    unit_b: np.ndarray = 0.0,
) -> np.ndarray:
    """Brightness of a texture at face coordinates a, b in metres (and 0 to 1 over the part)."""

    def lines(x, period, thick):
        return (np.mod(x, period) < thick).astype(np.float32)

    def cells(x, y):
        """A fixed pseudo-random number in 0 to 1 for each integer cell."""
        return np.mod(np.abs(np.sin(np.floor(x) * 12.9898 + np.floor(y) * 78.233)) * 43758.5453, 1.0)

    plain = np.ones_like(a)
    if texture == 'noise':
        return 0.94 + 0.12 * cells(a * 60, b * 60)
    if texture == 'wood':
        return 0.88 + 0.1 * np.sin(60 * b + 3 * np.sin(5 * a)) * cells(b * 9, plain)
    if texture == 'planks':
        return 0.85 + 0.25 * cells(a * 8, b * 0.9 + cells(a * 8, plain)) - 0.3 * lines(a, 0.125, 0.008)
    if texture == 'tiles':
        joints = np.maximum(lines(a, 0.4, 0.012), lines(b, 0.4, 0.012))
        return 0.97 + 0.08 * cells(a * 2.5, b * 2.5) - 0.25 * joints
    if texture == 'bricks':
        shifted = a + 0.11 * np.mod(np.floor(b / 0.075), 2)
        return (
            0.85
            + 0.2 * cells(shifted / 0.22, b / 0.075)
            + 0.2 * np.maximum(lines(shifted, 0.22, 0.012), lines(b, 0.075, 0.012))
        )
    if texture == 'wallpaper':
        return 0.95 + 0.08 * lines(a, 0.2, 0.1)
    if texture == 'stripes':
        return 0.8 + 0.3 * lines(a, 0.12, 0.06)
    if texture == 'checks':
        return 0.75 + 0.35 * np.mod(np.floor(a / 0.15) + np.floor(b / 0.15), 2)
    if texture == 'books':
        return 0.45 + 0.9 * cells(a / 0.035, plain) - 0.3 * lines(a, 0.035, 0.005)
    if texture in ('doors', 'panels'):
        frame = np.maximum(np.abs(np.mod(unit_a * 2, 1) - 0.5), np.abs(np.mod(unit_b * 2, 1) - 0.5))
        gap = lines(unit_a, 0.5, 0.015) * (texture == 'doors')
        return 1.0 - 0.35 * ((frame > 0.40) & (frame < 0.44)) - 0.5 * gap
    if texture == 'drawers':
        across = np.abs(unit_a - 0.5) < 0.08
        return (
            1.0
            - 0.45 * lines(unit_b, 0.25, 0.03)
            - 0.4 * across * (np.abs(np.mod(unit_b, 0.25) - 0.14) < 0.02)
        )
    if texture == 'panes':
        bars = np.maximum(lines(unit_a + 0.02, 0.5, 0.04), lines(unit_b + 0.02, 0.5, 0.04))
        return (0.8 + 0.3 * unit_b) * (1 - 0.45 * bars)
    if texture == 'slats':
        return 0.72 + 0.3 * np.mod(b, 0.05) / 0.05
    if texture == 'folds':
        return 0.8 + 0.2 * np.sin(a * 60)
    if texture == 'screen':
        return 0.6 + 1.2 * np.clip(unit_a + unit_b - 1, 0, 1)
    if texture == 'gradient':
        return 0.6 + 0.5 * (unit_a * 0.5 + unit_b * 0.5)
    if texture == 'scribble':
        ink = (np.abs(np.mod(b, 0.18) - 0.09 - 0.03 * np.sin(a * 40)) < 0.008) & (
            cells(a * 3, b / 0.18) > 0.5
        )
        edge = np.maximum(np.abs(unit_a - 0.5), np.abs(unit_b - 0.5)) > 0.48
        return 1.0 - 0.5 * ink - 0.6 * edge
    if texture == 'painting':
        edge = np.maximum(np.abs(unit_a - 0.5), np.abs(unit_b - 0.5)) > 0.43
        return np.where(edge, 0.35, 0.5 + 0.8 * cells(unit_a * 5 + np.sin(unit_b * 6), unit_b * 4))
    return plain
