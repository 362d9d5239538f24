"""The bird's-eye view of one tick: road, traffic, LiDAR, route, target points and trajectory."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from automot_client.geometry import Box, Pose, local_to_ego
from automot_client.reporting import palette

_AHEAD_SHARE = 0.72


class BirdsEye:
    """Draws one episode's ticks; ego points up, right is right."""

    def __init__(self, scene: dict[str, np.ndarray], size: int, metres: float = 64.0) -> None:
        self._scene = scene
        self._size = size
        self._scale = size / metres
        self._reach = metres

    def draw(
        self,
        pose: Pose,
        ego_size: tuple[float, float],
        vehicles: list[Box],
        lidar: np.ndarray,
        target_points: np.ndarray,
        route: np.ndarray,
        waypoints: np.ndarray,
    ) -> Image.Image:
        """One picture. lidar, target_points, route, waypoints: ego frame, metres."""
        image = Image.new("RGB", (self._size, self._size), palette.GROUND)
        draw = ImageDraw.Draw(image)
        self._quads(draw, self._scene["surfaces"], pose, palette.ROAD)
        yellow = self._scene["markings_yellow"]
        self._quads(draw, self._scene["markings"][~yellow], pose, palette.MARKING)
        self._quads(draw, self._scene["markings"][yellow], pose, palette.YELLOW_MARKING)
        self._line(
            draw, local_to_ego(self._near(self._scene["route"], pose), pose), palette.ROUTE, 2
        )
        for box in vehicles:
            draw.polygon(self._flat(local_to_ego(box.corners(), pose)), fill=palette.VEHICLE)
        for x, y in self._pixels(lidar):
            draw.rectangle((x - 1, y - 1, x, y), fill=palette.LIDAR)
        ego = Box(0.0, 0.0, 0.0, ego_size[0], ego_size[1], 1.0)
        draw.polygon(self._flat(ego.corners()), fill=palette.EGO)
        self._line(
            draw,
            np.vstack([[0.0, 0.0], route]) if len(route) else route,
            palette.PREDICTED_ROUTE,
            3,
        )
        self._dots(draw, waypoints, palette.WAYPOINT, 4)
        for x, y in self._pixels(target_points):
            draw.polygon([x, y - 6, x + 6, y, x, y + 6, x - 6, y], outline=palette.TARGET, width=2)
        return image

    def _near(self, points: np.ndarray, pose: Pose) -> np.ndarray:
        return points[np.hypot(*(points - (pose.x, pose.y)).T) < self._reach]

    def _quads(
        self, draw: ImageDraw.ImageDraw, quads: np.ndarray, pose: Pose, fill: palette.Colour
    ) -> None:
        near = np.hypot(*(quads.mean(axis=1) - (pose.x, pose.y)).T) < self._reach
        for quad in self._pixels(local_to_ego(quads[near], pose)):
            draw.polygon(quad.ravel().tolist(), fill=fill)

    def _pixels(self, ego: np.ndarray) -> np.ndarray:
        ego = np.asarray(ego, dtype=np.float64)
        ego = ego if ego.size else ego.reshape(0, 2)
        column = self._size / 2 + ego[..., 1] * self._scale
        row = self._size * _AHEAD_SHARE - ego[..., 0] * self._scale
        return np.stack([column, row], axis=-1)

    def _flat(self, ego: np.ndarray) -> list[float]:
        return self._pixels(ego).ravel().tolist()

    def _line(
        self, draw: ImageDraw.ImageDraw, ego: np.ndarray, fill: palette.Colour, width: int
    ) -> None:
        if len(ego) > 1:
            draw.line(self._flat(ego), fill=fill, width=width, joint="curve")

    def _dots(
        self, draw: ImageDraw.ImageDraw, ego: np.ndarray, fill: palette.Colour, radius: int
    ) -> None:
        for x, y in self._pixels(ego):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
