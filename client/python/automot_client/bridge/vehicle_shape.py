"""A vehicle as coloured faces: body, cabin with glass, lamps, wheels and shadow, from its box alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automot_client.geometry import Box, Pose, ego_to_local

Colour = tuple[float, float, float]
_PAINTS: tuple[Colour, ...] = (
    (178, 44, 40),
    (52, 88, 150),
    (222, 222, 218),
    (60, 62, 66),
    (168, 172, 176),
    (40, 108, 84),
    (200, 150, 60),
)
# Things on the road that are no vehicles, by kind of box.
_OBJECT_PAINTS: dict[str, Colour] = {
    "cone": (235, 96, 30),
    "warning": (220, 40, 30),
    "barrier": (228, 150, 140),
}
_GLASS: Colour = (58, 74, 88)
_SHADOW: Colour = (58, 59, 63)
_TAIL: Colour = (214, 40, 34)
_HEAD: Colour = (250, 244, 214)
_TYRE: Colour = (28, 28, 30)
# Face of a block by its four corner indices (0-3 bottom, 4-7 top), with its brightness.
_SIDES = (
    ((0, 1, 5, 4), 0.86),  # front
    ((1, 2, 6, 5), 0.74),  # left
    ((2, 3, 7, 6), 0.80),  # rear
    ((3, 0, 4, 7), 0.74),  # right
)


@dataclass(frozen=True)
class Face:
    """A flat polygon [n, 3] in the local frame (x, y, height in metres), in drawing order."""

    points: np.ndarray
    colour: Colour


def vehicle_faces(box: Box, camera: tuple[float, float, float], paint_shift: int = 0) -> list[Face]:
    """Faces that a camera at a local position (x, y, height) sees, farthest first."""
    if box.kind in _OBJECT_PAINTS:
        paint = _OBJECT_PAINTS[box.kind]
        block = _block(box, (-0.5, 0.5), (-0.5, 0.5), (0.0, box.height), taper=0.1)
        return _solid(block, paint, paint, camera)
    choice = int(round(box.length * 100 + box.width * 10)) + paint_shift
    paint = _PAINTS[choice % len(_PAINTS)]
    body_top = 0.62 * box.height if box.height < 2.2 else 0.5 * box.height
    body = _block(box, (-0.5, 0.5), (-0.5, 0.5), (0.18, body_top), taper=0.03)
    cabin = _block(box, (-0.42, 0.22), (-0.46, 0.46), (body_top, box.height), taper=0.16)
    shadow = _block(box, (-0.53, 0.53), (-0.56, 0.56), (0.0, 0.0), taper=0.0)[:4]
    faces = [Face(shadow, _SHADOW)]
    faces += _wheels(box, camera)
    faces += _solid(body, paint, paint, camera)
    faces += _lamps(box, body_top, camera)
    faces += _solid(cabin, _GLASS, paint, camera)
    return faces


def _block(
    box: Box,
    along: tuple[float, float],
    across: tuple[float, float],
    heights: tuple[float, float],
    taper: float,
) -> np.ndarray:
    """Corners [8, 3]: bottom then top; in each front left, rear left... by ratios of the box's size."""
    half = (along[1] - along[0]) / 2
    middle = (along[1] + along[0]) / 2
    corners = []
    for height, shrink in ((heights[0], 1.0), (heights[1], 1.0 - 2 * taper)):
        side = 1.0 - taper if shrink < 1.0 else 1.0
        for sx, sy in ((1, across[1]), (1, across[0]), (-1, across[0]), (-1, across[1])):
            x = (middle + sx * half * shrink) * box.length
            corners.append((x, sy * side * box.width, height))
    points = np.array(corners)
    ground = ego_to_local(points[:, :2], Pose(box.x, box.y, box.yaw))
    return np.concatenate([ground, points[:, 2:]], axis=1)


def _solid(
    corners: np.ndarray, side: Colour, top: Colour, camera: tuple[float, float, float]
) -> list[Face]:
    faces = []
    for indices, light in _SIDES:
        points = corners[list(indices)]
        if _faces_camera(points, corners, camera):
            faces.append(Face(points, _lit(side, light)))
    faces.append(Face(corners[4:], _lit(top, 1.0)))
    return faces


def _faces_camera(
    points: np.ndarray, corners: np.ndarray, camera: tuple[float, float, float]
) -> bool:
    outward = points.mean(axis=0)[:2] - corners.mean(axis=0)[:2]
    view = np.array(camera[:2]) - points.mean(axis=0)[:2]
    return float(outward @ view) > 0.0


def _lit(colour: Colour, light: float) -> Colour:
    return colour[0] * light, colour[1] * light, colour[2] * light


def _lamps(box: Box, body_top: float, camera: tuple[float, float, float]) -> list[Face]:
    heading = np.array([np.cos(box.yaw), np.sin(box.yaw)])
    ahead = float(heading @ (np.array(camera[:2]) - (box.x, box.y))) > 0.0
    x = (0.501 if ahead else -0.501) * box.length
    low, high = 0.62 * body_top, 0.86 * body_top
    faces = []
    for side in (-1, 1):
        y0, y1 = side * 0.28 * box.width, side * 0.46 * box.width
        ground = ego_to_local(
            np.array([(x, y0), (x, y1), (x, y1), (x, y0)]), Pose(box.x, box.y, box.yaw)
        )
        points = np.concatenate([ground, np.array([[low], [low], [high], [high]])], axis=1)
        faces.append(Face(points, _HEAD if ahead else _TAIL))
    return faces


def _wheels(box: Box, camera: tuple[float, float, float]) -> list[Face]:
    pose = Pose(box.x, box.y, box.yaw)
    sideways = np.array([-np.sin(box.yaw), np.cos(box.yaw)])
    right = float(sideways @ (np.array(camera[:2]) - (box.x, box.y))) > 0.0
    y = (0.5 if right else -0.5) * box.width
    faces = []
    for x in (-0.31 * box.length, 0.31 * box.length):
        angle = np.linspace(0, 2 * np.pi, 9)[:-1]
        ring = np.stack([x + 0.34 * np.cos(angle), np.full(8, y)], axis=1)
        points = np.concatenate(
            [ego_to_local(ring, pose), (0.34 + 0.34 * np.sin(angle))[:, None]], axis=1
        )
        faces.append(Face(points, _TYRE))
    return faces
