"""A recorded episode: what one vehicle saw, tick by tick, playable without the simulator that made it.

observations.jsonl  one line per tick: times, motion, target points, and whether a picture is there
frames/T.jpg        the camera picture of tick T
lidar.npz           `points` [n, 3] int16, centimetres in the ego frame; tick T's are first[T] : first[T + 1]
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automot_client.geometry import Pose
from automot_client.types import CameraFrame, Observation

_POINT_UNIT_M = 0.01


def write_episode(folder: Path, observations: Sequence[Observation]) -> None:
    """Writes an episode; an older one in the folder is replaced.

    Each observation has at most one picture, JPEG, and whole sweeps: ValueError names the first other one.
    """
    for tick, observation in enumerate(observations):
        if observation.lidar_half_sweep or any(f.raw_size for f in observation.camera_frames):
            raise ValueError(f"observations[{tick}]: raw pictures and half sweeps are not recorded")
    frames = folder / "frames"
    shutil.rmtree(frames, ignore_errors=True)
    frames.mkdir(parents=True)
    sweeps = []
    with (folder / "observations.jsonl").open("w") as lines:
        for tick, observation in enumerate(observations):
            for frame in observation.camera_frames:
                (frames / f"{tick:06d}.jpg").write_bytes(frame.data)
            points = observation.lidar_points
            sweeps.append(np.zeros((0, 3)) if points is None else points)
            lines.write(json.dumps(_to_line(observation)) + "\n")
    units = np.rint(np.concatenate(sweeps) / _POINT_UNIT_M).astype(np.int16)
    first = np.cumsum([0] + [len(sweep) for sweep in sweeps]).astype(np.int32)
    np.savez_compressed(folder / "lidar.npz", points=units, first=first)


def read_episode(folder: Path) -> list[Observation]:
    """Reads an episode, oldest first. FileNotFoundError where a part is missing."""
    lines = (folder / "observations.jsonl").read_text().splitlines()
    with np.load(folder / "lidar.npz") as arrays:
        points, first = arrays["points"], arrays["first"]
    metres = points.astype(np.float32) * np.float32(_POINT_UNIT_M)
    return [
        _from_line(
            json.loads(line),
            folder / "frames" / f"{tick:06d}.jpg",
            metres[first[tick] : first[tick + 1]],
        )
        for tick, line in enumerate(lines)
    ]


def _to_line(observation: Observation) -> dict[str, Any]:
    pose = observation.pose
    return {
        "capture_time_us": observation.capture_time_us,
        "speed_mps": round(observation.speed_mps, 4),
        "yaw_rate_radps": observation.yaw_rate_radps,
        "pose": None if pose is None else [round(v, 5) for v in (pose.x, pose.y, pose.yaw)],
        "target_points": np.round(observation.target_points, 4).tolist(),
        "route_revision": observation.route_revision,
        "camera_time_us": [frame.capture_time_us for frame in observation.camera_frames],
        "lidar": observation.lidar_points is not None,
    }


def _from_line(line: dict[str, Any], picture: Path, points: np.ndarray) -> Observation:
    return Observation(
        capture_time_us=line["capture_time_us"],
        speed_mps=line["speed_mps"],
        target_points=np.array(line["target_points"], dtype=np.float64),
        route_revision=line["route_revision"],
        pose=None if line["pose"] is None else Pose(*line["pose"]),
        yaw_rate_radps=line["yaw_rate_radps"],
        camera_frames=tuple(
            CameraFrame(time_us, picture.read_bytes()) for time_us in line["camera_time_us"]
        ),
        lidar_points=points if line["lidar"] else None,
    )
