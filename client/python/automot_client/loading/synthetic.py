"""What a vehicle that does not exist sees: a straight road at constant speed, inside a ring of walls.

The bytes have the sizes of real ones; the contents mean nothing, and neither do the plans.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from automot_client.geometry import Pose
from automot_client.types import CameraFrame, Observation

_SPEED_MPS = 8.0
_PICTURES = 8  # A few, taken in turn: encoding is not what the load is about.
_POINTS = 4096
_WALL_M = 20.0


class SyntheticVehicle:
    """Observations of one vehicle by time. Deterministic in the seed. Not thread-safe."""

    def __init__(self, seed: int, camera_size: tuple[int, int]) -> None:
        """camera_size: width and height of the pictures, pixels."""
        random = np.random.default_rng(seed)
        self._pictures = [_picture(random, camera_size) for _ in range(_PICTURES)]
        angles = random.uniform(-np.pi, np.pi, _POINTS)
        heights = random.uniform(-1.5, 1.0, _POINTS)
        walls = (_WALL_M * np.cos(angles), _WALL_M * np.sin(angles), heights)
        self._points = np.stack(walls, axis=1).astype(np.float32)

    def observe(self, time_us: int) -> Observation:
        """What the vehicle sees at a session time."""
        picture = self._pictures[(time_us // 50_000) % _PICTURES]
        return Observation(
            capture_time_us=time_us,
            speed_mps=_SPEED_MPS,
            target_points=np.array([[8.0, 0.0], [20.0, 0.0]]),
            route_revision=1,
            pose=Pose(_SPEED_MPS * time_us / 1e6, 0.0, 0.0),
            yaw_rate_radps=0.0,
            camera_frames=(CameraFrame(time_us, picture),),
            lidar_points=self._points,
            lidar_capture_time_us=time_us,
        )


def _picture(random: np.random.Generator, size: tuple[int, int]) -> bytes:
    """JPEG of a sky over a road with some texture."""
    width, height = size
    rows = np.linspace(210, 70, height)[:, None, None]
    pixels = np.clip(rows + random.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=85)
    return encoded.getvalue()
