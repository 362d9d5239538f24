"""An episode for training, in the format `automot-driving-episode` (docs/training-data.md)."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from automot_client.bridge.world import WorldState
from automot_client.dataset.histogram import sparse_histogram
from automot_client.dataset.safetensors_file import read_tensors, write_tensors
from automot_client.teacher.teacher import TeacherPlan

FORMAT = "automot-driving-episode"
VERSION = 1
FRAME_PERIOD_US = 100_000
_DTYPES = {
    "time_us": np.int64,
    "pose": np.float64,
    "speed_mps": np.float32,
    "target_points_m": np.float32,
    "route_revision": np.int64,
    "route_m": np.float32,
    "waypoints_m": np.float32,
    "decisions": np.uint8,
    "future_speeds_mps": np.float32,
    "usable": np.uint8,
    "perturbed": np.uint8,
    "lidar_half": np.uint8,
}


@dataclass(frozen=True)
class SensedFrame:
    """What the sensors gave at a frame: no points where the sweep was lost.

    jpeg: the newest picture there is; not `fresh` where this frame's own was lost.
    """

    jpeg: bytes
    points: np.ndarray
    half_sweep: bool
    fresh: bool = True


@dataclass
class EpisodeData:
    """Frames as they come. Not safe for use by several threads."""

    rows: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _DTYPES})
    cells: list[np.ndarray] = field(default_factory=list)
    counts: list[np.ndarray] = field(default_factory=list)
    jpegs: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.jpegs)

    def add(
        self, state: WorldState, plan: TeacherPlan, sensed: SensedFrame, perturbed: bool
    ) -> None:
        """Takes one frame."""
        pose = state.pose
        values = {
            "time_us": state.time_us,
            "pose": (pose.x, pose.y, pose.yaw),
            "speed_mps": state.speed_mps,
            "target_points_m": state.target_points,
            "route_revision": state.route_revision,
            "route_m": plan.route,
            "waypoints_m": plan.waypoints,
            "decisions": plan.decisions,
            "future_speeds_mps": plan.future_speeds,
            "usable": 1,
            "perturbed": int(perturbed),
            "lidar_half": int(sensed.half_sweep),
        }
        for name, value in values.items():
            self.rows[name].append(value)
        cells, counts = sparse_histogram(sensed.points)
        self.cells.append(cells)
        self.counts.append(counts)
        self.jpegs.append(sensed.jpeg)

    def forget_last(self, frames: int) -> None:
        """Marks the labels of the last frames as not to be trained on."""
        for index in range(max(0, len(self) - frames), len(self)):
            self.rows["usable"][index] = 0

    def tensors(self) -> dict[str, np.ndarray]:
        """The tensors of the file."""
        found = {name: np.array(rows, dtype=_DTYPES[name]) for name, rows in self.rows.items()}
        found["lidar_cell"] = np.concatenate([np.zeros(0, np.int32), *self.cells])
        found["lidar_count"] = np.concatenate([np.zeros(0, np.uint8), *self.counts])
        found["lidar_begin"] = _begins([len(cells) for cells in self.cells])
        found["jpeg"] = np.frombuffer(b"".join(self.jpegs), np.uint8)
        found["jpeg_begin"] = _begins([len(jpeg) for jpeg in self.jpegs])
        return found


def episode_folder(out: Path, split: str, seed: int, source: str) -> Path:
    """Where an episode lies; its name tells the map's seed."""
    return out / split / (f"seed-{seed:06d}" + ("" if source == "teacher" else f"-{source}"))


def write_episode(folder: Path, data: EpisodeData, about: dict[str, Any]) -> int:
    """Writes an episode whole or not at all; its size in bytes."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    header = {"format": FORMAT, "version": VERSION, **about}
    header |= {"frames": len(data), "frame_period_us": FRAME_PERIOD_US}
    (partial / "episode.json").write_text(json.dumps(header, indent=1))
    write_tensors(partial / "episode.safetensors", data.tensors())
    size = sum(file.stat().st_size for file in partial.iterdir())
    partial.rename(folder)
    return size


def read_episode(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and tensors of an episode; ValueError where it is of another format."""
    header = json.loads((folder / "episode.json").read_text())
    if (header.get("format"), header.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"{folder}: is not {FORMAT} version {VERSION}")
    return header, read_tensors(folder / "episode.safetensors")


def _begins(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))]).astype(np.int64)
