"""What the vehicle senses of a world state: the drawn picture, the cast sweep, the observation."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from automot_client.bridge.camera import CameraRenderer
from automot_client.bridge.lidar import LidarCaster, LidarModel
from automot_client.bridge.look import Look
from automot_client.bridge.projection import CameraModel
from automot_client.bridge.road_map import RoadMap
from automot_client.bridge.world import WorldState
from automot_client.types import CameraFrame, Observation

JPEG_QUALITY = 95


class Sensors:
    """Camera and LiDAR in one map. Not safe for use by several threads."""

    def __init__(
        self,
        road_map: RoadMap,
        camera: CameraModel,
        lidar: LidarModel | None = None,
        jpeg_quality: int = JPEG_QUALITY,
        look: Look | None = None,
    ) -> None:
        self._camera = CameraRenderer(road_map, camera, look)
        self._lidar = LidarCaster(road_map, lidar)
        self._quality = jpeg_quality

    def picture(self, state: WorldState) -> bytes:
        """The camera's picture, JPEG."""
        return encode_jpeg(self._camera.render(state.pose, state.vehicles), self._quality)

    def sweep(self, state: WorldState) -> np.ndarray:
        """A LiDAR sweep [n, 3] float32, ego frame, metres."""
        return self._lidar.sweep(state.pose, state.vehicles)


def encode_jpeg(image: Image.Image, quality: int) -> bytes:
    """A picture as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=quality)
    return out.getvalue()


def observe(state: WorldState, picture: bytes | None, sweep: np.ndarray | None) -> Observation:
    """The observation of a world state, without LiDAR where `sweep` is None.

    Without a picture, one of an earlier tick stays the newest.
    """
    frames = () if picture is None else (CameraFrame(state.time_us, picture),)
    return Observation(
        capture_time_us=state.time_us,
        speed_mps=state.speed_mps,
        target_points=state.target_points,
        route_revision=state.route_revision,
        pose=state.pose,
        yaw_rate_radps=state.yaw_rate_radps,
        camera_frames=frames,
        lidar_points=sweep,
    )
