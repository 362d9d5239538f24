"""A short episode from the simulator itself; skipped where it is not installed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automot_client.dataset.episode_data import read_episode
from automot_client.dataset.recorder import EpisodeJob, record_episode

pytest.importorskip("metadrive")


def test_short_episode_is_whole_and_the_same_again(tmp_path: Path):
    folders = []
    for name in ("one", "other"):
        summary = record_episode(EpisodeJob(tmp_path / name, 50_000, max_seconds=5.0))
        assert (summary.frames, summary.outcome) == (50, "time_up")
        folders.append(tmp_path / name / summary.folder)
    header, tensors = read_episode(folders[0])
    _, again = read_episode(folders[1])
    assert all(np.array_equal(tensors[name], again[name]) for name in tensors)
    assert (header["split"], header["map_seed"]) == ("validation", 50_000)
    assert tensors["time_us"].tolist() == list(range(0, 5_000_000, 100_000))
    begin, end = tensors["jpeg_begin"][:2]
    picture = Image.open(io.BytesIO(tensors["jpeg"][begin:end].tobytes()))
    assert picture.size == (128, 96)
    assert {"family", "question", "answer", "frame"} == set(header["questions"][0])


def test_plan_points_where_the_vehicle_goes(tmp_path: Path):
    summary = record_episode(EpisodeJob(tmp_path, 50_002, max_seconds=8.0))
    _, tensors = read_episode(tmp_path / summary.folder)
    calm = np.flatnonzero(tensors["perturbed"][:-10] == 0)
    travelled = np.hypot(*(tensors["pose"][calm + 10, :2] - tensors["pose"][calm, :2]).T)
    planned = np.hypot(*tensors["waypoints_m"][calm, 1].T)
    assert np.median(np.abs(travelled - planned)) < 0.5
    assert tensors["speed_mps"].max() > 5.0
