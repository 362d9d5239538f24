"""Pinhole projection of polygons with a near plane.

Camera frame: x to the right, y down, z forward, metres. Without yaw and pitch the camera looks along
the ego's x axis; yaw turns it to the right, pitch downwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from automot_client.geometry import Pose, local_to_ego

NEAR_M = 0.3


@dataclass(frozen=True)
class CameraModel:
    """A forward camera: picture size in pixels, horizontal field of view in degrees, place in ego frame."""

    width: int = 512
    height: int = 256
    fov_deg: float = 110.0
    x_m: float = -1.5
    z_m: float = 2.0
    y_m: float = 0.0
    pitch_deg: float = 0.0
    yaw_deg: float = 0.0

    @property
    def focal_px(self) -> float:
        """Focal length, pixels."""
        return self.width / 2 / math.tan(math.radians(self.fov_deg) / 2)

    def to_camera(self, ground: np.ndarray, height: np.ndarray | float, pose: Pose) -> np.ndarray:
        """Local ground points [..., 2] at heights [...] to camera coordinates [..., 3]."""
        ego = local_to_ego(ground, pose)
        down = np.broadcast_to(self.z_m - np.asarray(height, dtype=np.float64), ego.shape[:-1])
        right, ahead = _rotate(ego[..., 1] - self.y_m, ego[..., 0] - self.x_m, self.yaw_deg)
        down, ahead = _rotate(down, ahead, self.pitch_deg)
        return np.stack([right, down, ahead], axis=-1)

    @property
    def horizon_row(self) -> float:
        """Row of the picture at which the ground ends."""
        return self.height / 2 - self.focal_px * math.tan(math.radians(self.pitch_deg))

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Camera coordinates [..., 3] beyond the near plane to pixels [..., 2] (column, row)."""
        scale = self.focal_px / points[..., 2]
        return np.stack(
            [self.width / 2 + points[..., 0] * scale, self.height / 2 + points[..., 1] * scale],
            axis=-1,
        )


def _rotate(across: np.ndarray, ahead: np.ndarray, deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates across and along a view that is turned by an angle towards positive `across`."""
    if deg == 0.0:
        return across, ahead
    cos, sin = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    return across * cos - ahead * sin, ahead * cos + across * sin


def clip_near(polygon: np.ndarray, near: float = NEAR_M) -> np.ndarray:
    """The part of a camera-frame polygon [n, 3] beyond the near plane (Sutherland-Hodgman); may be empty."""
    inside = polygon[:, 2] >= near
    if inside.all():
        return polygon
    if not inside.any():
        return polygon[:0]
    out: list[np.ndarray] = []
    for i, here in enumerate(polygon):
        before = polygon[i - 1]
        if inside[i] != inside[i - 1]:
            ratio = (near - before[2]) / (here[2] - before[2])
            out.append(before + ratio * (here - before))
        if inside[i]:
            out.append(here)
    return np.array(out)


def visible_polygons(
    points: np.ndarray, model: CameraModel
) -> tuple[list[list[float]], np.ndarray]:
    """Projects equal-sized polygons [n, k, 3] (camera frame).

    Returns flat pixel lists ready for drawing and the index [m] of the polygon each came from; polygons
    behind the camera or wholly beside the picture are left out.
    """
    depth = points[..., 2]
    whole = (depth >= NEAR_M).all(axis=1)
    index = np.flatnonzero(whole)
    pixels = model.to_pixels(points[index])
    on = _touches_picture(pixels, model)
    index, pixels = index[on], pixels[on]
    flat = pixels.reshape(len(pixels), 2 * points.shape[1]).tolist()
    cut = np.flatnonzero(~whole & (depth >= NEAR_M).any(axis=1))
    if len(cut) == 0:
        return flat, index
    cut_flat = [model.to_pixels(clip_near(points[i])).ravel().tolist() for i in cut]
    order = np.argsort(np.concatenate([index, cut]), kind="stable")
    both = flat + cut_flat
    return [both[i] for i in order], np.concatenate([index, cut])[order]


def _touches_picture(pixels: np.ndarray, model: CameraModel) -> np.ndarray:
    if len(pixels) == 0:
        return np.zeros(0, dtype=bool)
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    return (
        (high[:, 0] >= 0)
        & (low[:, 0] <= model.width)
        & (high[:, 1] >= 0)
        & (low[:, 1] <= model.height)
    )
