"""The published agent's sensors, and their packets as plain values.

A packet is what the leaderboard hands to `run_step`: `{id: (frame, data)}`, with the camera as BGRA
`[height, width, 4]` uint8, the LiDAR as `[n, 4]` float32 in the sensor's frame, GNSS as latitude,
longitude, altitude, the IMU as accelerometer, gyroscope, compass (7 numbers), the speed in a dictionary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

CAMERA, LIDAR, IMU, GNSS, SPEED = "CAM_FRONT", "LIDAR", "IMU", "GPS", "SPEED"
CAMERA_SIZE = (1024, 512)

_CAMERA_FOV_DEG = 110
_LIDAR_HEIGHT_M = 2.5
_LIDAR_YAW_DEG = -90.0
_ORIGIN = {"x": 0.0, "y": 0.0, "z": 0.0, "roll": 0.0, "pitch": 0.0, "yaw": 0.0}


class SensorError(ValueError):
    """A packet is not what the sensor is declared to send; the message names the sensor."""


@dataclass(frozen=True)
class SensorReadings:
    """One tick's packets.

    camera_rgb: `[height, width, 3]` uint8. lidar_points: `[n, 3]` float32, ego frame, metres, half a turn.
    yaw: heading in CARLA's plane, radians; NaN where the compass sent NaN, as it does at times.
    """

    camera_rgb: np.ndarray
    lidar_points: np.ndarray
    latitude_deg: float
    longitude_deg: float
    yaw: float
    yaw_rate_radps: float | None
    speed_mps: float


def sensor_suite(camera_size: tuple[int, int]) -> list[dict[str, Any]]:
    """What the leaderboard is asked to mount; `camera_size` is the width and height of the checkpoint's."""
    width, height = camera_size
    return [
        {
            "type": "sensor.camera.rgb",
            "id": CAMERA,
            **_ORIGIN,
            "x": -1.5,
            "z": 2.0,
            "width": width,
            "height": height,
            "fov": _CAMERA_FOV_DEG,
        },
        {
            "type": "sensor.lidar.ray_cast",
            "id": LIDAR,
            **_ORIGIN,
            "z": _LIDAR_HEIGHT_M,
            "yaw": _LIDAR_YAW_DEG,
        },
        {"type": "sensor.other.imu", "id": IMU, **_ORIGIN, "sensor_tick": 0.05},
        {"type": "sensor.other.gnss", "id": GNSS, **_ORIGIN, "sensor_tick": 0.01},
        {"type": "sensor.speedometer", "id": SPEED, "reading_frequency": 20},
    ]


def read_sensors(
    input_data: Mapping[str, tuple[int, Any]], camera_size: tuple[int, int]
) -> SensorReadings:
    """The packets of one tick; SensorError names the sensor, the value and what is wanted."""
    gnss = _numbers(input_data, GNSS, 3)
    imu = _numbers(input_data, IMU, 7)
    speed = _data(input_data, SPEED)
    if not isinstance(speed, Mapping) or not math.isfinite(speed.get("speed", math.nan)):
        raise SensorError(f"{SPEED}: {speed!r}, want {{'speed': metres per second}}")
    yaw_rate = float(imu[5])
    return SensorReadings(
        camera_rgb=_camera(input_data, camera_size),
        lidar_points=_lidar(input_data),
        latitude_deg=float(gnss[0]),
        longitude_deg=float(gnss[1]),
        yaw=compass_to_yaw(float(imu[6])),
        yaw_rate_radps=yaw_rate if math.isfinite(yaw_rate) else None,
        speed_mps=float(speed["speed"]),
    )


def compass_to_yaw(compass: float) -> float:
    """A compass counts from north (minus y), a yaw from x; both turn to the right. NaN stays NaN."""
    return (
        math.remainder(compass - math.pi / 2, 2 * math.pi) if math.isfinite(compass) else math.nan
    )


def lidar_to_ego(points: np.ndarray) -> np.ndarray:
    """Points [n, 3 or more] of the sensor's frame as [n, 3] float32 in the ego frame, metres."""
    yaw = math.radians(_LIDAR_YAW_DEG)
    cos, sin = math.cos(yaw), math.sin(yaw)
    x, y, z = np.asarray(points, dtype=np.float64)[:, :3].T
    ego = np.stack([cos * x - sin * y, sin * x + cos * y, z + _LIDAR_HEIGHT_M], axis=1)
    return ego.astype(np.float32)


def _camera(input_data: Mapping[str, tuple[int, Any]], size: tuple[int, int]) -> np.ndarray:
    picture = np.asarray(_data(input_data, CAMERA))
    width, height = size
    if picture.shape != (height, width, 4) or picture.dtype != np.uint8:
        raise SensorError(
            f"{CAMERA}: {picture.dtype} of shape {picture.shape}, want uint8 BGRA ({height}, {width}, 4)"
        )
    return np.ascontiguousarray(picture[:, :, 2::-1])


def _lidar(input_data: Mapping[str, tuple[int, Any]]) -> np.ndarray:
    points = np.asarray(_data(input_data, LIDAR))
    if points.ndim != 2 or points.shape[1] != 4 or not np.issubdtype(points.dtype, np.floating):
        raise SensorError(
            f"{LIDAR}: {points.dtype} of shape {points.shape}, want float32 (points, 4)"
        )
    if not np.isfinite(points[:, :3]).all():
        raise SensorError(f"{LIDAR}: a point is not finite")
    return lidar_to_ego(points)


def _numbers(input_data: Mapping[str, tuple[int, Any]], name: str, count: int) -> np.ndarray:
    values = np.asarray(_data(input_data, name))
    if values.shape != (count,) or not np.issubdtype(values.dtype, np.number):
        raise SensorError(
            f"{name}: {values.dtype} of shape {values.shape}, want ({count},) numbers"
        )
    return values


def _data(input_data: Mapping[str, tuple[int, Any]], name: str) -> Any:
    packet = input_data.get(name)
    if packet is None:
        raise SensorError(f"{name}: no packet; there are {', '.join(sorted(input_data)) or 'none'}")
    if not isinstance(packet, (tuple, list)) or len(packet) != 2:
        raise SensorError(f"{name}: {type(packet).__name__}, want (frame, data)")
    return packet[1]
