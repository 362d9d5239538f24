"""Writes a scene in nuScenes' layout: ten key frames of a slow turn to the left at 8 m/s, one parked car."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

STEPS, STEP_S, SPEED_MPS, TURN_RADPS = 10, 0.5, 8.0, 0.02
# In the global frame: x forward, y LEFT at the first frame; ahead of it and 10 m to the left.
CAR = {"translation": [300.0 + 12.5, 200.0 + 10.0, 1.0], "size": [2.0, 4.5, 1.5]}


def write_nuscenes(root: Path) -> None:
    """Tables below v1.0-mini, pictures and sweeps below samples."""
    (root / "v1.0-mini").mkdir()
    for folder in ("CAM_FRONT", "LIDAR_TOP"):
        (root / "samples" / folder).mkdir(parents=True)
    sensors = [{"token": f"s{c}", "channel": c} for c in ("CAM_FRONT", "LIDAR_TOP")]
    calibrated = [
        {
            "token": "cCAM_FRONT",
            "sensor_token": "sCAM_FRONT",
            "translation": [1.7, 0.0, 1.5],
            "rotation": [0.5, -0.5, 0.5, -0.5],
        },
        {  # Turned by a quarter to the left, on the roof.
            "token": "cLIDAR_TOP",
            "sensor_token": "sLIDAR_TOP",
            "translation": [1.0, 0.0, 1.8],
            "rotation": quaternion(math.pi / 2),
        },
    ]
    samples, data, poses, boxes = [], [], [], []
    x, y = 300.0, 200.0
    for i in range(STEPS):
        yaw = TURN_RADPS * STEP_S * i
        token = f"sample{i}"
        after = f"sample{i + 1}" if i + 1 < STEPS else ""
        samples.append({"token": token, "timestamp": 1_000_000 + i * 500_000, "next": after})
        poses.append({"token": f"p{i}", "translation": [x, y, 0.0], "rotation": quaternion(yaw)})
        for channel, end in (("CAM_FRONT", "jpg"), ("LIDAR_TOP", "pcd.bin")):
            data.append(
                {
                    "sample_token": token,
                    "ego_pose_token": f"p{i}",
                    "calibrated_sensor_token": f"c{channel}",
                    "filename": f"samples/{channel}/{i}.{end}",
                    "is_key_frame": True,
                }
            )
        boxes.append({"sample_token": token, "rotation": quaternion(0.0), **CAR})
        Image.new("RGB", (160, 90), (i, 80, 80)).save(root / "samples" / "CAM_FRONT" / f"{i}.jpg")
        # In the sensor's frame: 9 m ahead of it and 2 m to the left; and its own roof.
        points = np.array([[2.0, -9.0, -0.8, 0, 0], [0.0, 0.0, -0.1, 0, 0]], "<f4")
        points.tofile(root / "samples" / "LIDAR_TOP" / f"{i}.pcd.bin")
        x += SPEED_MPS * STEP_S * math.cos(yaw)
        y += SPEED_MPS * STEP_S * math.sin(yaw)
    tables = {
        "scene": [{"token": "t", "name": "scene-0001", "first_sample_token": "sample0"}],
        "sample": samples,
        "sample_data": data,
        "ego_pose": poses,
        "calibrated_sensor": calibrated,
        "sensor": sensors,
        "sample_annotation": boxes,
    }
    for name, rows in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows))


def quaternion(yaw: float) -> list[float]:
    """w, x, y, z of a turn about z."""
    return [math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]
