"""Open loop: plans are scored against a record, and records of two formats are read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from automot_client.bridge.projection import CameraModel
from automot_client.evaluate import main
from automot_client.evaluation import nuscenes
from automot_client.evaluation.open_loop import replay
from automot_client.evaluation.open_loop_scores import score_frame, summarise
from automot_client.evaluation.replay_episode import read_recorded
from automot_client.evaluation.sensing_modes import SensorFilter
from automot_client.types import DecisionSlot, Observation, Plan
from fake_planning_server import FakeServer
from nuscenes_fixture import write_nuscenes
from recorded_drive import FRAMES, SPEED_MPS, write_drive
from scripted_planner import ScriptedPlanner


class ConstantPlanner(ScriptedPlanner):
    """Straight on at one speed, `aside` metres to the right of the way, always 'keep'."""

    def __init__(self, speed_mps: float, aside: float = 0.0) -> None:
        super().__init__()
        self.seen: list[Observation] = []
        self._speed, self._aside = speed_mps, aside

    def plan(self, observation: Observation) -> Plan:
        self.seen.append(observation)
        return dataclasses.replace(
            super().plan(observation),
            waypoints=np.stack(
                [0.5 * self._speed * np.arange(1, 7), np.full(6, self._aside)], axis=1
            ),
            route=np.stack([np.arange(1.0, 21.0), np.full(20, self._aside)], axis=1),
            decision=tuple(DecisionSlot(k, "KEEP", "keep", 1.0) for k in range(3)),
            stage_seconds={"total": 1e-3 * len(self.seen)},
        )


def scores(tmp_path: Path, planner: ConstantPlanner, every: int = 1) -> list[dict]:
    episode = read_recorded(write_drive(tmp_path, 50_000))
    return replay(episode, planner, SensorFilter("full", CameraModel(32, 16)), every)


def test_record_is_played_as_it_was_seen(tmp_path):
    planner = ConstantPlanner(SPEED_MPS)
    assert len(scores(tmp_path, planner, every=10)) == FRAMES // 10
    assert [o.capture_time_us for o in planner.seen] == list(range(0, FRAMES * 100_000, 100_000))
    assert all(len(o.camera_frames) == 1 for o in planner.seen)
    rows, columns = np.nonzero(planner.seen[20].lidar_histogram)
    assert set(columns) == {(32 + 30) * 4} and rows.min() == (32 - 3) * 4
    assert planner.seen[3].pose.x == pytest.approx(1.5)


def test_time_of_plans_counts_those_that_are_not_scored(tmp_path):
    found = scores(tmp_path, ConstantPlanner(SPEED_MPS), every=10)
    assert [len(one["plan_ms"]) for one in found] == [1, *[10] * (FRAMES // 10 - 1)]
    until = FRAMES - 9  # The last scored frame is the first of its ten.
    assert summarise([found])["plan_ms_median"] == pytest.approx((until + 1) / 2)


def test_picture_that_stands_again_is_sent_once(tmp_path):
    episode = read_recorded(write_drive(tmp_path, 50_000, new_pictures=False))
    assert [len(frame.observation.camera_frames) for frame in episode.frames[:3]] == [1, 0, 0]


def test_distance_braking_and_decisions_are_those_of_the_record(tmp_path):
    found = summarise([scores(tmp_path, ConstantPlanner(SPEED_MPS))])
    assert found["frames"] == FRAMES
    # Right for 20 frames, then 1.5, 4.5 and 7.5... m too far at 0.5 s steps: 3 m/s too fast.
    assert found["l2_1s_m"] == pytest.approx(0.6 * 3.0)
    assert found["l2_3s_m"] == pytest.approx(0.6 * 9.0) == found["final_displacement_m"]
    assert found["l2_until_1s_m"] == pytest.approx(0.6 * (1.5 + 3.0) / 2)
    assert found["l2_average_m"] == pytest.approx(0.6 * 6.0)
    assert (found["brake_recall"], found["brake_frames"]) == (0.0, 30)
    assert "brake_precision" not in found, "it never brakes"
    assert found["decision_now_accuracy"] == pytest.approx(0.4)
    assert found["decision_1s_accuracy"] == 1.0
    assert found["decision_joint_accuracy"] == pytest.approx(0.4)
    assert found["decision_mean_accuracy"] == pytest.approx(0.8)
    assert found["decision_confusion"]["slow"]["keep"] == 30
    assert found["wanted_speed_error_mps"] == pytest.approx(0.6 * 3.0)
    braking = summarise([scores(tmp_path / "b", ConstantPlanner(2.0))])
    assert braking["brake_recall"] == 1.0 and braking["brake_precision"] == pytest.approx(0.6)
    assert braking["hard_brake_recall"] == 1.0


def test_route_beside_the_way_is_that_far_off(tmp_path):
    found = summarise([scores(tmp_path, ConstantPlanner(SPEED_MPS, aside=0.5))])
    assert [found[f"route_lateral_{m}m_m"] for m in (3, 10, 20)] == pytest.approx([0.5] * 3)


def test_collision_is_with_what_the_record_sees_at_that_time(tmp_path):
    fast = scores(tmp_path, ConstantPlanner(SPEED_MPS))
    # The front is 2.255 m ahead: the wall at 40 m is met where the centre is past 37.8 m.
    assert fast[15]["collided"] == [False] * 6, "22.5 m at 3 s"
    late = read_recorded(write_drive(tmp_path / "w", 50_001))
    plan = ConstantPlanner(20.4).plan(late.frames[15].observation)
    assert score_frame(late, 15, plan)["collided"] == [False, False, True, False, False, False]
    assert score_frame(late, 15, plan)["label_collided"] == [False] * 6
    assert score_frame(late, FRAMES - 6, plan)["collided"][1:] == [None] * 5
    found = summarise([[score_frame(late, 15, plan)]])
    assert (found["collided_1s"], found["collided_2s"], found["collided_3s"]) == (0, 1, 1)


def test_nothing_scored_is_said(tmp_path):
    with pytest.raises(ValueError, match="no frame"):
        summarise([[]])


def test_intervals_draw_episodes(tmp_path):
    good = scores(tmp_path / "a", ConstantPlanner(SPEED_MPS))
    bad = scores(tmp_path / "b", ConstantPlanner(SPEED_MPS, aside=2.0))
    found = summarise([good, bad] * 4)
    low, high = found["route_lateral_10m_m_interval"]
    assert low < 1.0 < high and high - low > 0.5
    assert summarise([good] * 8)["route_lateral_10m_m_interval"] == [0.0, 0.0]


def test_command_replays_through_a_service_and_goes_on(tmp_path, capsys):
    server = FakeServer()
    try:
        write_drive(tmp_path, 50_000)
        command = ["open-loop", "--data", str(tmp_path), "--service", server.address]
        command += ["--out", str(tmp_path / "out"), "--staleness", "0.5"]
        assert main(command) == 0
        options = server.planning.opened.options
        assert (options.planning_rate_hz, options.simulated_latency_us) == (10.0, 500_000)
        assert len(server.planning.plans) == FRAMES
        write_drive(tmp_path, 50_001)
        assert main(command) == 0
        assert "1 episodes to replay, 1 are there" in capsys.readouterr().out
        assert len(server.planning.plans) == 2 * FRAMES
        found = json.loads((tmp_path / "out" / "results.json").read_text())
        assert (found["episodes"], found["settings"]["staleness"]) == (2, 0.5)
        assert main([*command, "--sensors", "blind"]) == 2
        frozen = ["--context", "frozen", "--out", str(tmp_path / "frozen")]
        assert main([*command, *frozen]) == 0
        assert server.planning.opened.options.reasoning_rate_hz == pytest.approx(0.01)
        assert main([*command, "--split", "train", "--out", str(tmp_path / "other")]) == 2
    finally:
        server.stop()


def test_nuscenes_scene_is_read_with_y_to_the_right(tmp_path):
    write_nuscenes(tmp_path)
    ((name, read),) = nuscenes.find_scenes(tmp_path / "v1.0-mini", tmp_path, (64, 32))
    episode = read()
    assert (name, episode.period_s, len(episode.frames)) == ("scene-0001", 0.5, 10)
    first = episode.frames[0]
    # It drives at 8 m/s and turns to the left, which is negative y here.
    assert first.observation.speed_mps == pytest.approx(8.0, rel=0.02)
    assert first.waypoints[:, 0] == pytest.approx(4.0 * np.arange(1, 7), rel=0.05)
    assert (np.diff(first.waypoints[:, 1]) < 0.0).all()
    assert first.observation.target_points[0] == pytest.approx([8.0, 0.0], abs=0.5)
    assert first.decisions.tolist() == [2, 2, 2]
    # The sweep's thing stands 10 m ahead and 2 m to the left; the roof's point is its own.
    assert first.observation.lidar_points == pytest.approx(np.array([[10.0, -2.0, 1.0]]), abs=1e-5)
    picture = first.observation.camera_frames[0].data
    assert picture[:2] == b"\xff\xd8"
    assert [frame.scored for frame in episode.frames] == [True] * 4 + [False] * 6


def test_nuscenes_boxes_are_what_plans_collide_with(tmp_path):
    write_nuscenes(tmp_path)
    ((_, read),) = nuscenes.find_scenes(tmp_path / "v1.0-mini", tmp_path, None)
    episode = read()
    plan = ConstantPlanner(8.0, aside=-10.0).plan(episode.frames[0].observation)
    found = score_frame(episode, 0, plan)
    assert found["label_collided"] == [False] * 6
    assert found["collided"][2] is True and found["collided"][0] is False
    assert "route_m" not in found


def test_nuscenes_without_its_tables_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"scene\.json"):
        nuscenes.find_scenes(tmp_path / "v1.0-mini", tmp_path, None)
