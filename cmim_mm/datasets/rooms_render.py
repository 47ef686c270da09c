"""Procedural rooms: what a camera sees of a scene.

One ray a pixel, at unit distance along the optical axis, so that a ray's
parameter t *is* the metric depth of the point that it hits.
"""

from typing import NamedTuple

import cv2
import numpy as np

from .rooms_furniture import Part
from .rooms_scene import Scene
from .rooms_texture import paint

#: Share of the image's width that the focal length measures; 57 degrees of view, as NYUD-v2's camera.
FOCAL = 0.92
FAR = 1e9


class Camera(NamedTuple):
    """Position (3,) and rotation (3, 3), whose columns are right, down, forward in the world."""

    position: np.ndarray
    rotation: np.ndarray


def random_camera(scene: Scene, rng: np.random.Generator) -> Camera:
    """A hand-held camera near the edge of the room that looks across it."""
    side = rng.uniform(0.12, 0.88, 2)
    side[rng.integers(2)] = rng.choice([0.12, 0.88])
    position = np.array([*(scene.size[:2] * side), rng.normal(1.5, 0.08)])
    to_middle = scene.size[:2] * rng.uniform(0.3, 0.7, 2) - position[:2]
    yaw = np.arctan2(to_middle[1], to_middle[0]) + rng.normal(0, 0.2)
    pitch, roll = rng.uniform(-0.4, -0.05), rng.normal(0, 0.02)
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return Camera(position, np.stack([c * right + s * down, c * down - s * right, forward], 1))


def inside(scene: Scene, point: np.ndarray, margin: float = 0.35) -> bool:
    """Whether a part is nearer to the point than the margin."""
    for part in scene.parts:
        local = _turn(np.asarray(point - part.origin)[None], -part.yaw)[0]
        if ((local > np.array(part.low) - margin) & (local < np.array(part.high) + margin)).all():
            return True
    return False


def render(
    scene: Scene, camera: Camera, height: int, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws what the camera sees.

    Returns:
        Image, uint8 BGR (H, W, 3); labels, uint8 (H, W); depth along the axis, float32 metres (H, W).
    """
    focal = FOCAL * width
    u, v = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    rays = np.stack([u / focal, v / focal, np.ones_like(u)], -1).astype(np.float32)
    rays = rays @ camera.rotation.T.astype(np.float32)
    depth = np.full((height, width), FAR, np.float32)
    owner = np.full((height, width), -1, np.int32)
    for number, part in enumerate(scene.parts):
        rows, cols = _window(part, camera, focal, height, width)
        if rows.start >= rows.stop or cols.start >= cols.stop:
            continue
        t = _hit_box(part, camera.position, rays[rows, cols])
        nearer = t < depth[rows, cols]
        depth[rows, cols][nearer] = t[nearer]
        owner[rows, cols][nearer] = number
    room_t, room_axis = _hit_room(scene.size, camera.position, rays)
    background = depth > room_t
    depth = np.minimum(depth, room_t)
    owner[background] = -1
    points = camera.position.astype(np.float32) + rays * depth[..., None]

    color = np.zeros((height, width, 3), np.float32)
    normal = np.zeros((height, width, 3), np.float32)
    label = np.zeros((height, width), np.uint8)
    for axis, plane in enumerate(('wall', 'wall', 'flat')):
        for high in (False, True):
            mask = background & (room_axis == axis) & ((rays[..., axis] > 0) == high)
            name = 'wall' if plane == 'wall' else ('ceiling' if high else 'floor')
            label[mask], base, texture = scene.surfaces[name]
            color[mask] = base * paint(texture, *_face(points[mask], axis), scene.size[2])[:, None]
            normal[mask, axis] = -1 if high else 1
    for number in np.unique(owner[~background]):
        part, mask = scene.parts[number], owner == number
        local = _turn(points[mask] - np.float32(part.origin), -part.yaw)
        low, high = np.float32(part.low), np.float32(part.high)
        offset = np.abs((local - (low + high) / 2) / ((high - low) / 2))
        axis = offset.argmax(1)
        side = np.sign(np.take_along_axis(local - (low + high) / 2, axis[:, None], 1)[:, 0])
        face = np.zeros_like(local)
        face[np.arange(len(face)), axis] = side
        unit = (local - low) / (high - low)
        a = np.where(axis == 0, local[:, 1], local[:, 0])
        b = np.where(axis == 2, local[:, 1], local[:, 2])
        shade = paint(part.texture, a, b, 0, np.where(axis == 0, unit[:, 1], unit[:, 0]), unit[:, 2])
        color[mask] = part.color * shade[:, None]
        normal[mask] = _turn(face, part.yaw)
        label[mask] = part.label
    glow = np.isin(owner, [i for i, p in enumerate(scene.parts) if p.texture in ('glow', 'panes')])
    light = np.where(glow, 1.05, _light(scene, points, normal, owner))
    return _photograph(color * light[..., None], rng), label, depth


def _turn(vectors: np.ndarray, yaw: float) -> np.ndarray:
    """Rotates (..., 3) about z."""
    c, s = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([c * x - s * y, s * x + c * y, vectors[..., 2]], -1)


def _window(part: Part, camera: Camera, focal: float, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns that can show a part."""
    corners = np.array(
        [
            [x, y, z]
            for x in (part.low[0], part.high[0])
            for y in (part.low[1], part.high[1])
            for z in (part.low[2], part.high[2])
        ]
    )
    seen = (_turn(corners, part.yaw) + part.origin - camera.position) @ camera.rotation
    if (seen[:, 2] < 0.05).all():
        return slice(0, 0), slice(0, 0)
    if (seen[:, 2] < 0.05).any():
        return slice(0, height), slice(0, width)
    x = seen[:, 0] / seen[:, 2] * focal + width / 2
    y = seen[:, 1] / seen[:, 2] * focal + height / 2
    return (
        slice(max(int(y.min()) - 1, 0), min(int(y.max()) + 2, height)),
        slice(max(int(x.min()) - 1, 0), min(int(x.max()) + 2, width)),
    )


def _hit_box(part: Part, position: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Parameter of the first point of each ray in the part, FAR where there is none (slab test)."""
    direction = _turn(rays, -part.yaw)
    start = _turn(np.float32(position - part.origin), -part.yaw)
    with np.errstate(divide='ignore', invalid='ignore'):
        a = (np.float32(part.low) - start) / direction
        b = (np.float32(part.high) - start) / direction
    near, far = np.minimum(a, b), np.maximum(a, b)
    enter = np.maximum(np.maximum(near[..., 0], near[..., 1]), near[..., 2])  # 5 times faster than max(-1)
    leave = np.minimum(np.minimum(far[..., 0], far[..., 1]), far[..., 2])
    return np.where((enter <= leave) & (enter > 0.05), enter, np.float32(FAR))


def _hit_room(size: np.ndarray, position: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parameter where each ray leaves the room, and the axis of the surface there."""
    with np.errstate(divide='ignore', invalid='ignore'):
        t = np.where(rays > 0, np.float32(size) - np.float32(position), -np.float32(position)) / rays
    t = np.where(np.abs(rays) < 1e-9, np.float32(FAR), t)
    return t.min(-1), t.argmin(-1)


def _face(points: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    return (points[:, 1] if axis == 0 else points[:, 0]), (points[:, 1] if axis == 2 else points[:, 2])


def _light(scene: Scene, points: np.ndarray, normal: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Lambert's law for one lamp, an ambient part, and dark corners and contacts."""
    to_light = np.float32(scene.light) - points
    distance = np.linalg.norm(to_light, axis=-1)
    facing = np.clip((to_light * normal).sum(-1) / np.maximum(distance, 1e-3), 0, 1)
    light = 0.42 + 0.75 * facing / (1 + 0.07 * distance**2) + 0.08 * normal[..., 0] + 0.06 * normal[..., 2]
    x, y, z = np.moveaxis(np.minimum(points, np.float32(scene.size) - points), -1, 0)
    second = np.maximum(np.minimum(x, y), np.minimum(np.maximum(x, y), z))  # distance to the nearest edge
    light *= 1 - 0.28 * np.exp(-np.maximum(second, 0) / 0.18)
    floor = (owner < 0) & (points[..., 2] < 0.01)
    shadow = np.ones(int(floor.sum()), np.float32)
    for part in scene.parts:
        if part.low[2] < 0.6 and part.high[2] > 0.1:
            local = _turn(points[floor] - np.float32(part.origin), -part.yaw)[:, :2]
            outside = np.maximum(np.float32(part.low[:2]) - local, local - np.float32(part.high[:2])).max(-1)
            shadow *= 1 - 0.35 * np.exp(-np.maximum(outside, 0) / 0.12)
    light[floor] *= np.maximum(shadow, 0.35)
    return light


def _photograph(radiance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, white balance, a little blur and noise; linear RGB -> uint8 BGR."""
    image = radiance * rng.uniform(0.85, 1.15) * rng.normal(1, 0.03, 3)
    image = cv2.GaussianBlur(image.astype(np.float32), (3, 3), 0.5)
    image = np.clip(image, 0, 1.2) ** 0.8 + rng.normal(0, 0.012, image.shape)
    return np.clip(image[..., ::-1] * 255, 0, 255).astype(np.uint8)
