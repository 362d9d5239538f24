"""Reads scenes in the layout of nuScenes (tables of JSON, pictures, sweeps) for open-loop evaluation.

Read are, of each table's rows:
  scene             token, name, first_sample_token
  sample            token, timestamp, next
  sample_data       sample_token, ego_pose_token, calibrated_sensor_token, filename, is_key_frame
  ego_pose          token, translation, rotation
  calibrated_sensor token, sensor_token, translation, rotation
  sensor            token, channel
  sample_annotation sample_token, translation, size, rotation
Channels CAM_FRONT and LIDAR_TOP. Its frames have y to the left: it is turned here.
"""

from __future__ import annotations

import functools
import io
import json
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from automot_client.evaluation.replay_episode import EgoShape, ReplayEpisode, ReplayFrame
from automot_client.geometry import Box, Pose, arc_lengths, ego_to_local, local_to_ego
from automot_client.teacher.teacher import decide
from automot_client.types import CameraFrame, Observation

# Renault Zoe as the benchmarks take it; the ego frame's origin is the rear axle.
_EGO = EgoShape(4.084, 1.85, 0.985)
_PERIOD_S = 0.5
_STEPS = 6
_TARGETS_M = (8.0, 20.0)
_MIRROR = np.array([1.0, -1.0])

Row = dict[str, Any]


@dataclass(frozen=True)
class _Tables:
    root: Path
    rows: dict[str, dict[str, Row]]
    data: dict[tuple[str, str], Row]  # by sample and channel
    boxes: dict[str, list[Row]]  # by sample

    @staticmethod
    def read(tables: Path, root: Path) -> _Tables:
        names = ("scene", "sample", "ego_pose", "calibrated_sensor", "sensor")
        rows = {name: {row["token"]: row for row in _rows(tables, name)} for name in names}
        data = {}
        for row in _rows(tables, "sample_data"):
            if row["is_key_frame"]:
                calibrated = rows["calibrated_sensor"][row["calibrated_sensor_token"]]
                channel = rows["sensor"][calibrated["sensor_token"]]["channel"]
                data[row["sample_token"], channel] = row
        boxes: dict[str, list[Row]] = defaultdict(list)
        for row in _rows(tables, "sample_annotation"):
            boxes[row["sample_token"]].append(row)
        return _Tables(root, rows, data, boxes)

    def samples(self, scene: Row) -> list[Row]:
        """Key frames of a scene, in order."""
        found, token = [], scene["first_sample_token"]
        while token:
            found.append(self.rows["sample"][token])
            token = found[-1]["next"]
        return found

    def pose(self, sample: Row) -> Pose:
        """Pose of the ego in the mirrored global frame."""
        data = (
            self.data.get((sample["token"], "LIDAR_TOP")) or self.data[sample["token"], "CAM_FRONT"]
        )
        row = self.rows["ego_pose"][data["ego_pose_token"]]
        x, y = np.array(row["translation"][:2]) * _MIRROR
        return Pose(float(x), float(y), -_yaw(row["rotation"]))

    def sweep(self, sample: Row) -> np.ndarray | None:
        """Points [n, 3] in the ego frame, without the ego's own; None where there is no sweep."""
        data = self.data.get((sample["token"], "LIDAR_TOP"))
        if data is None:
            return None
        calibrated = self.rows["calibrated_sensor"][data["calibrated_sensor_token"]]
        raw = np.fromfile(self.root / data["filename"], "<f4").reshape(-1, 5)[:, :3]
        points = raw @ _matrix(calibrated["rotation"]).T + calibrated["translation"]
        points[:, 1] *= -1.0
        own = (np.abs(points[:, 0] - _EGO.ahead_m) < _EGO.length_m / 2) & (
            np.abs(points[:, 1]) < _EGO.width_m / 2 + 0.2
        )
        return points[~own].astype(np.float32)

    def obstacles(self, sample: Row) -> np.ndarray:
        """Points [n, 2] each 0.25 m over the annotated boxes, mirrored global frame."""
        found = [np.zeros((0, 2))]
        for row in self.boxes[sample["token"]]:
            width, length, _ = row["size"]
            x, y = np.array(row["translation"][:2]) * _MIRROR
            box = Box(float(x), float(y), -_yaw(row["rotation"]), length, width, 1.0)
            along, across = (
                np.linspace(-half, half, max(2, round(2 * half / 0.25)))
                for half in (box.length / 2, box.width / 2)
            )
            grid = np.stack(np.meshgrid(along, across), axis=-1).reshape(-1, 2)
            found.append(ego_to_local(grid, Pose(box.x, box.y, box.yaw)))
        return np.concatenate(found)


def find_scenes(
    tables: Path, root: Path, camera_size: tuple[int, int] | None
) -> list[tuple[str, Callable[[], ReplayEpisode]]]:
    """The scenes, read when it is their turn. Pictures are resized to `camera_size`."""
    read = _Tables.read(tables, root)
    scenes = sorted(read.rows["scene"].values(), key=lambda row: str(row["name"]))
    return [
        (str(scene["name"]), functools.partial(_episode, read, scene, camera_size))
        for scene in scenes
    ]


def _episode(tables: _Tables, scene: Row, camera_size: tuple[int, int] | None) -> ReplayEpisode:
    samples = tables.samples(scene)
    poses = [tables.pose(sample) for sample in samples]
    places = np.array([(pose.x, pose.y) for pose in poses])
    times = np.array([sample["timestamp"] for sample in samples])
    speeds = _speeds(places, times)
    frames = []
    for i, (sample, pose) in enumerate(zip(samples, poses)):
        ahead = local_to_ego(places[i + 1 : i + 1 + _STEPS], pose)
        whole = len(ahead) == _STEPS
        last = ahead[-1:] if len(ahead) else np.zeros((1, 2))
        time_us = round(i * _PERIOD_S * 1e6)
        frames.append(
            ReplayFrame(
                Observation(
                    capture_time_us=time_us,
                    speed_mps=float(speeds[i]),
                    target_points=_targets(local_to_ego(places[i:], pose)),
                    route_revision=0,
                    pose=pose,
                    camera_frames=_pictures(tables, sample, time_us, camera_size),
                    lidar_points=tables.sweep(sample),
                ),
                np.concatenate([ahead, np.repeat(last, _STEPS - len(ahead), axis=0)]),
                None,
                decide(speeds[i : i + 7 : 2]) if whole else None,
                whole,
            )
        )
    return ReplayEpisode(
        scene["name"], frames, _PERIOD_S, lambda i: tables.obstacles(samples[i]), _EGO
    )


def _pictures(
    tables: _Tables, sample: Row, time_us: int, size: tuple[int, int] | None
) -> tuple[CameraFrame, ...]:
    data = tables.data.get((sample["token"], "CAM_FRONT"))
    if data is None:
        return ()
    picture = Image.open(tables.root / data["filename"]).convert("RGB")
    out = io.BytesIO()
    (picture.resize(size) if size else picture).save(out, format="JPEG", quality=95)
    return (CameraFrame(time_us, out.getvalue()),)


def _targets(path: np.ndarray) -> np.ndarray:
    """Points 8 and 20 m along the way that was driven (ego frame), which goes straight on at its end."""
    way = path[:1] if len(path) else np.zeros((1, 2))
    for point in path[1:]:
        if np.hypot(*(point - way[-1])) > 0.2:
            way = np.vstack([way, point])
    onward = way[-1] - way[-2] if len(way) > 1 else np.array([1.0, 0.0])
    way = np.vstack([way, way[-1] + onward / np.hypot(*onward) * _TARGETS_M[1]])
    arc = arc_lengths(way)
    return np.stack([np.interp(_TARGETS_M, arc, way[:, i]) for i in (0, 1)], axis=1)


def _speeds(places: np.ndarray, times: np.ndarray) -> np.ndarray:
    if len(places) < 2:
        return np.zeros(len(places))
    steps = np.hypot(*np.diff(places, axis=0).T) / np.maximum(np.diff(times) / 1e6, 1e-3)
    return np.concatenate([steps[:1], steps])


def _yaw(rotation: list[float]) -> float:
    matrix = _matrix(rotation)
    return math.atan2(matrix[1, 0], matrix[0, 0])


def _matrix(rotation: list[float]) -> np.ndarray:
    """Rotation matrix of a quaternion w, x, y, z."""
    w, x, y, z = np.array(rotation) / np.linalg.norm(rotation)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _rows(tables: Path, name: str) -> list[Row]:
    file = tables / f"{name}.json"
    if not file.exists():
        raise ValueError(f"{file}: is not there")
    rows: list[Row] = json.loads(file.read_text())
    return rows
