"""A short episode from the simulator itself; skipped where it is not installed."""

from __future__ import annotations

import io
import itertools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automot_client.bridge.variation import Losses, SensorVariation
from automot_client.dataset.episode_data import read_episode
from automot_client.dataset.recorder import EpisodeJob, record_episode

# Of each test, for a file without tests is an error.
pytestmark = pytest.mark.skipif(find_spec("metadrive") is None, reason="MetaDrive is not here")


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
    assert np.diff(tensors["jpeg_begin"]).min() > 0
    begin, end = tensors["jpeg_begin"][:2]
    picture = Image.open(io.BytesIO(tensors["jpeg"][begin:end].tobytes()))
    assert picture.size == (128, 96)
    assert {"family", "question", "answer", "frame"} == set(header["questions"][0])


def test_lost_picture_is_the_one_before_and_a_lost_sweep_is_empty(tmp_path, monkeypatch):
    losses = iter([Losses(True, False, False)] + [Losses(True, True, False)] * 9)
    monkeypatch.setattr(SensorVariation, "next_losses", lambda self: next(losses))
    summary = record_episode(EpisodeJob(tmp_path, 50_000, max_seconds=1.0))
    header, tensors = read_episode(tmp_path / summary.folder)
    begins = tensors["jpeg_begin"]
    pictures = {tensors["jpeg"][a:b].tobytes() for a, b in itertools.pairwise(begins)}
    assert len(pictures) == 1 and pictures != {b""}
    assert (np.diff(tensors["lidar_begin"]) == 0).tolist() == [False] + [True] * 9
    assert {one["frame"] for one in header["questions"]} == {0}


def test_plan_points_where_the_vehicle_goes(tmp_path: Path):
    summary = record_episode(EpisodeJob(tmp_path, 50_002, max_seconds=8.0))
    _, tensors = read_episode(tmp_path / summary.folder)
    calm = np.flatnonzero(tensors["perturbed"][:-10] == 0)
    travelled = np.hypot(*(tensors["pose"][calm + 10, :2] - tensors["pose"][calm, :2]).T)
    planned = np.hypot(*tensors["waypoints_m"][calm, 1].T)
    assert np.median(np.abs(travelled - planned)) < 0.5
    assert tensors["speed_mps"].max() > 5.0
