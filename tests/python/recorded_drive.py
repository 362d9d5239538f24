"""A small recorded episode for tests: straight on at 5 m/s, with a wall, in the training data's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from automot_client.bridge.world import WorldState
from automot_client.dataset.episode_data import EpisodeData, SensedFrame, write_episode
from automot_client.driving.sensing import encode_jpeg
from automot_client.geometry import Pose
from automot_client.teacher.teacher import KEEP, SLOW, TeacherPlan

SPEED_MPS = 5.0
FRAMES = 50
WALL_X_M = 40.0


def write_drive(
    root: Path, seed: int, questions: list[dict] | None = None, new_pictures: bool = True
) -> Path:
    """50 frames at 10 Hz; a wall across the way at x = 40 m; the record brakes from frame 20 on."""
    data = EpisodeData()
    for i in range(FRAMES):
        x = SPEED_MPS * i / 10
        state = WorldState(
            i * 100_000,
            0,
            Pose(x, 0.0, 0.0),
            SPEED_MPS,
            0.0,
            np.array([[8.0, 0.0], [20.0, 0.0]]),
            1,
            0.1,
            0.0,
        )
        wanted = SPEED_MPS if i < 20 else 2.0
        route = np.stack([np.arange(1.0, 21.0), np.zeros(20)], axis=1)
        waypoints = np.stack([0.5 * wanted * np.arange(1, 7), np.zeros(6)], axis=1)
        decisions = np.array([KEEP if i < 20 else SLOW, KEEP, KEEP])
        plan = TeacherPlan(route, waypoints, decisions, np.full(3, wanted), route)
        wall = np.array([[WALL_X_M - x, y, 1.0] for y in np.arange(-3, 3, 0.2)], np.float32)
        picture = encode_jpeg(Image.new("RGB", (1024, 512), (5 * i * new_pictures, 90, 90)), 75)
        data.add(state, plan, SensedFrame(picture, wall, False), perturbed=False)
    folder = root / "validation" / f"seed-{seed:06d}"
    about = {"split": "validation", "map_seed": seed, "questions": questions or []}
    write_episode(folder, data, about)
    return folder
