"""What CARLA and the leaderboard hand to an agent, made from a recorded episode or from nothing.

The formats are the leaderboard's: BGRA pictures, LiDAR [n, 4] in the sensor's frame, half a turn per tick,
GNSS by CARLA's Mercator formula, a compass that counts from north, a plan of transforms and road options.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace

import numpy as np
from PIL import Image

from automot_client.geometry import Pose
from automot_client.types import Observation

TICK_S = 0.05
REFERENCE = (42.0, 2.0)
_RADIUS_M = 6378137.0


class RoadOption(Enum):
    LANEFOLLOW = 4


def to_gnss(x: float, y: float) -> dict[str, float]:
    """A place of the map (x east, y south) as CARLA's GNSS and the leaderboard's plan give it."""
    latitude, longitude = REFERENCE
    scale = math.cos(math.radians(latitude)) * _RADIUS_M
    north = math.log(math.tan(math.radians(90.0 + latitude) / 2)) - y / scale
    return {
        "lat": 2 * math.degrees(math.atan(math.exp(north))) - 90.0,
        "lon": longitude + math.degrees(x / scale),
        "z": 0.0,
    }


def make_plan(points: list[tuple[float, float]]) -> tuple[list, list]:
    """The two forms of a global plan."""
    gps = [(to_gnss(x, y), RoadOption.LANEFOLLOW) for x, y in points]
    world = [
        (SimpleNamespace(location=SimpleNamespace(x=x, y=y, z=0.0)), RoadOption.LANEFOLLOW)
        for x, y in points
    ]
    return gps, world


def to_sensor(points: np.ndarray) -> np.ndarray:
    """Ego points [n, 3] as the LiDAR at (0, 0, 2.5), turned by -90 degrees, sees them: [n, 4] float32."""
    x, y, z = np.asarray(points, dtype=np.float64).T
    return np.stack([-y, x, z - 2.5, np.full(len(x), 0.5)], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Moment:
    """Where the vehicle is at a tick and what is around it."""

    tick: int
    pose: Pose
    speed_mps: float
    picture_bgra: np.ndarray
    ego_points: np.ndarray

    @property
    def timestamp_s(self) -> float:
        return self.tick * TICK_S

    def packets(self, compass: float | None = None) -> dict:
        """The tick's `input_data`; `compass` replaces the right one."""
        gnss = to_gnss(self.pose.x, self.pose.y)
        right = (self.pose.yaw + math.pi / 2) % (2 * math.pi)
        imu = [0.0, 0.0, 9.81, 0.0, 0.0, 0.01, right if compass is None else compass]
        return {
            "CAM_FRONT": (self.tick, self.picture_bgra),
            "LIDAR": (self.tick, to_sensor(self.ego_points)),
            "IMU": (self.tick, np.array(imu)),
            "GPS": (self.tick, np.array([gnss["lat"], gnss["lon"], 0.0])),
            "SPEED": (self.tick, {"speed": self.speed_mps}),
        }


def straight_drive(ticks: int, size: tuple[int, int], speed_mps: float = 4.0) -> list[Moment]:
    """Along x at constant speed, heading east; the pictures tell their tick by their brightness."""
    points = np.array([[10.0, 2.0, 0.5], [-8.0, -3.0, 1.0]])
    return [
        Moment(
            tick,
            Pose(100.0 + speed_mps * TICK_S * tick, -40.0, 0.0),
            speed_mps,
            np.full((size[1], size[0], 4), tick % 256, np.uint8),
            points,
        )
        for tick in range(ticks)
    ]


def recorded_drive(episode: list[Observation]) -> list[Moment]:
    """A recorded episode as CARLA would have sent it: a picture every tick, and half a turn of LiDAR."""
    moments, picture = [], np.zeros((0, 0, 4), np.uint8)
    for tick, observation in enumerate(episode):
        for frame in observation.camera_frames:
            rgb = np.asarray(Image.open(io.BytesIO(frame.data)).convert("RGB"))
            alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
            picture = np.concatenate([rgb[:, :, ::-1], alpha], axis=2)
        assert observation.pose is not None and observation.lidar_points is not None
        right = observation.lidar_points[:, 1] > 0
        half = observation.lidar_points[right if tick % 2 else ~right]
        moments.append(Moment(tick, observation.pose, observation.speed_mps, picture, half))
    return moments
