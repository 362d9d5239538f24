"""The training data's files, read back by a reader of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from automot_client import collect
from automot_client.bridge.splits import SPLITS
from automot_client.bridge.world import WorldState
from automot_client.dataset.episode_data import (
    EpisodeData,
    SensedFrame,
    episode_folder,
    read_episode,
    write_episode,
)
from automot_client.dataset.histogram import sparse_histogram
from automot_client.dataset.perturbation import Perturbation
from automot_client.dataset.recorder import EpisodeJob, record_episode
from automot_client.dataset.safetensors_file import write_tensors
from automot_client.evaluate_teacher import TeacherDrive, summarise, wilson_interval
from automot_client.geometry import Pose
from automot_client.teacher.teacher import TeacherPlan
from automot_client.types import Control

_SIZES = {"F64": 8, "F32": 4, "I64": 8, "I32": 4, "U8": 1}


def episode(frames: int = 12) -> EpisodeData:
    data = EpisodeData()
    for i in range(frames):
        state = WorldState(
            i * 100_000, 0, Pose(i, 2.0, 0.1), 5.0, 0.0, np.array([[8, 0], [20, 1]]), 3, 0.1, 0.0
        )
        plan = TeacherPlan(
            np.full((20, 2), i), np.full((6, 2), 2 * i), np.array([0, 1, 3]), np.ones(3), np.ones(2)
        )
        points = np.array([[1.1, -2.0, 0.5]] * (i % 3), dtype=np.float32).reshape(-1, 3)
        data.add(state, plan, SensedFrame(b"x" * (i % 4), points, i == 5), perturbed=i == 2)
    return data


def read_by_hand(path):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def test_file_has_the_declared_tensors_without_gaps(tmp_path):
    data = episode()
    data.forget_last(10)
    write_episode(tmp_path / "seed-000001", data, {"split": "train", "map_seed": 1})
    header, body = read_by_hand(tmp_path / "seed-000001" / "episode.safetensors")
    kinds = {name: (entry["dtype"], entry["shape"]) for name, entry in header.items()}
    assert kinds == {
        "time_us": ("I64", [12]),
        "pose": ("F64", [12, 3]),
        "speed_mps": ("F32", [12]),
        "target_points_m": ("F32", [12, 2, 2]),
        "route_revision": ("I64", [12]),
        "route_m": ("F32", [12, 20, 2]),
        "waypoints_m": ("F32", [12, 6, 2]),
        "decisions": ("U8", [12, 3]),
        "future_speeds_mps": ("F32", [12, 3]),
        "usable": ("U8", [12]),
        "perturbed": ("U8", [12]),
        "lidar_cell": ("I32", [8]),
        "lidar_count": ("U8", [8]),
        "lidar_begin": ("I64", [13]),
        "lidar_half": ("U8", [12]),
        "jpeg": ("U8", [18]),
        "jpeg_begin": ("I64", [13]),
    }
    ends = 0
    for entry in sorted(header.values(), key=lambda entry: entry["data_offsets"]):
        begin, end = entry["data_offsets"]
        assert begin == ends and begin % _SIZES[entry["dtype"]] == 0
        assert end - begin == _SIZES[entry["dtype"]] * int(np.prod(entry["shape"]))
        ends = end
    assert ends == len(body)


def test_episode_is_read_back_and_a_failed_end_is_not_usable(tmp_path):
    data = episode()
    data.forget_last(10)
    folder = episode_folder(tmp_path, "train", 7, "dagger")
    write_episode(folder, data, {"split": "train"})
    header, tensors = read_episode(folder)
    assert folder.name == "seed-000007-dagger"
    assert (header["format"], header["version"]) == ("automot-driving-episode", 1)
    assert (header["frames"], header["frame_period_us"]) == (12, 100_000)
    assert tensors["usable"].tolist() == [1, 1] + [0] * 10
    assert tensors["pose"][3].tolist() == [3.0, 2.0, 0.1]
    assert tensors["jpeg_begin"].tolist()[:5] == [0, 0, 1, 3, 6]
    assert not list(tmp_path.glob("*/.*"))


def test_header_of_another_format_is_refused(tmp_path):
    (tmp_path / "episode.json").write_text('{"format": "other", "version": 1}')
    with pytest.raises(ValueError, match="version 1"):
        read_episode(tmp_path)


def test_tensor_of_an_unknown_type_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'a'"):
        write_tensors(tmp_path / "t", {"a": np.zeros(2, np.complex64)})


def test_histogram_follows_numpy():
    drawn = np.random.default_rng(0)
    points = drawn.uniform((-40, -40, -0.5), (40, 40, 3), (20_000, 3)).astype(np.float32)
    points[:3] = [(32.0, 32.0, 1.0), (-32.0, -32.0, 1.0), (0.0, 31.75, 0.2)]
    xyz = points.astype(np.float64)
    kept = xyz[(xyz[:, 2] > 0.2) & (xyz[:, 2] < 100.0)]
    edges = np.linspace(-32.0, 32.0, 257)
    expected = np.histogram2d(kept[:, 0], kept[:, 1], bins=(edges, edges))[0].T.clip(max=5)
    cells, counts = sparse_histogram(points)
    dense = np.zeros(256 * 256)
    dense[cells] = counts
    assert np.array_equal(dense.reshape(256, 256), expected)


def test_ahead_is_a_higher_column_and_right_a_higher_row():
    cells, counts = sparse_histogram(np.array([[10.0, 3.0, 1.0]] * 9))
    assert (cells.tolist(), counts.tolist()) == ([(32 + 3) * 4 * 256 + (32 + 10) * 4], [5])


def test_perturbation_comes_in_bursts_and_is_the_same_for_the_same_seed():
    def drive(seed: int) -> list[bool]:
        bursts = Perturbation(np.random.default_rng(seed), 0.05)
        return [bursts.apply(Control(0.0, 0.5, 0.0))[1] for _ in range(1200)]

    shares = [np.mean(drive(seed)) for seed in range(20)]
    assert drive(3) == drive(3)
    assert shares.count(0.0) < 10
    assert 0.05 < max(shares) < 0.3


def test_collector_refuses_held_out_scenes(tmp_path):
    with pytest.raises(ValueError, match="never recorded"):
        record_episode(EpisodeJob(tmp_path, SPLITS["test"].begin))
    with pytest.raises(SystemExit):
        collect.parse_arguments(["--out", str(tmp_path), "--split", "test"])


def test_collector_leaves_out_what_is_there(tmp_path):
    options = collect.parse_arguments(["--out", str(tmp_path), "--episodes", "3"])
    write_episode(episode_folder(tmp_path, "train", 1, "teacher"), episode(), about())
    (tmp_path / "train" / ".seed-000002.9.partial").mkdir()
    assert [job.seed for job in collect.plan_jobs(options)] == [0, 2]
    manifest = collect.write_manifest(tmp_path)
    assert [one["episode"] for one in manifest["episodes"]] == ["train/seed-000001"]
    assert json.loads((tmp_path / "manifest.json").read_text())["frames"] == 12


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--source", "dagger"], "--service"),
        (["--camera-size", "128"], "--camera-size"),
        (["--processes", "0"], "--processes"),
        (["--episodes", "50001"], "50001"),
        (["--target-point-rule", "by_feel"], "target_point_rule"),
    ],
)
def test_bad_argument_is_named(tmp_path, capsys, arguments, named):
    assert collect.main(["--out", str(tmp_path), *arguments]) == 2
    assert named in capsys.readouterr().err


def test_intervals_hold_the_rate():
    low, high = wilson_interval(19, 20)
    assert low == pytest.approx(0.764, abs=0.002) and high == pytest.approx(0.991, abs=0.002)
    drives = [TeacherDrive(i, "arrived" if i else "standing", 1.0, 0.05, 40.0) for i in range(10)]
    assert summarise(drives)["success_rate"] == 0.9


def about() -> dict:
    return {
        "split": "train",
        "map_seed": 1,
        "source": "teacher",
        "questions": [],
        "teacher": {"name": "t", "outcome": "arrived", "route_completion": 1.0},
    }
