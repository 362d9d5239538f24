"""A recorded episode as open-loop evaluation plays it, whatever format it came from."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from automot_client.dataset.episode_data import FRAME_PERIOD_US, read_episode
from automot_client.dataset.histogram import cell_centres, dense_histogram
from automot_client.geometry import Pose, ego_to_local
from automot_client.types import CameraFrame, Observation


@dataclass(frozen=True)
class EgoShape:
    """Footprint of the ego vehicle, metres; `ahead_m`: its centre ahead of the ego frame's origin."""

    length_m: float = 4.51
    width_m: float = 1.85
    ahead_m: float = 0.0


@dataclass(frozen=True)
class ReplayFrame:
    """What was seen, and what is held to be right: waypoints [6, 2] each 0.5 s (ego frame, metres).

    route [20, 2] and decisions [3] (0 stop, 1 slow, 2 keep, 3 accelerate) where the record has them.
    """

    observation: Observation
    waypoints: np.ndarray
    route: np.ndarray | None
    decisions: np.ndarray | None
    scored: bool


@dataclass(frozen=True)
class ReplayEpisode:
    """Frames in order, `period_s` apart. `obstacles(i)`: points [n, 2] of frame i, local frame, metres."""

    name: str
    frames: list[ReplayFrame]
    period_s: float
    obstacles: Callable[[int], np.ndarray]
    ego: EgoShape = EgoShape()


def read_recorded(folder: Path) -> ReplayEpisode:
    """An episode of `automot-collect`. A picture that stands again because one was lost is sent once."""
    _, tensors = read_episode(folder)
    begins = tensors["jpeg_begin"]
    jpegs = [tensors["jpeg"][a:b].tobytes() for a, b in itertools.pairwise(begins)]
    frames = []
    for i, jpeg in enumerate(jpegs):
        time_us = int(tensors["time_us"][i])
        fresh = i == 0 or jpeg != jpegs[i - 1]
        observation = Observation(
            capture_time_us=time_us,
            speed_mps=float(tensors["speed_mps"][i]),
            target_points=tensors["target_points_m"][i].astype(np.float64),
            route_revision=int(tensors["route_revision"][i]),
            pose=Pose(*(float(value) for value in tensors["pose"][i])),
            camera_frames=(CameraFrame(time_us, jpeg),) if fresh else (),
            lidar_histogram=dense_histogram(*_cells(tensors, i)),
            lidar_half_sweep=bool(tensors["lidar_half"][i]),
        )
        frames.append(
            ReplayFrame(
                observation,
                tensors["waypoints_m"][i].astype(np.float64),
                tensors["route_m"][i].astype(np.float64),
                tensors["decisions"][i],
                bool(tensors["usable"][i]),
            )
        )

    def obstacles(i: int) -> np.ndarray:
        cells, _ = _cells(tensors, i)
        return ego_to_local(cell_centres(cells), Pose(*tensors["pose"][i]))

    return ReplayEpisode(folder.name, frames, FRAME_PERIOD_US / 1e6, obstacles)


def _cells(tensors: dict[str, np.ndarray], i: int) -> tuple[np.ndarray, np.ndarray]:
    begin, end = tensors["lidar_begin"][i : i + 2]
    return tensors["lidar_cell"][begin:end], tensors["lidar_count"][begin:end]
