"""The closed loop with a scripted world and planner."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from automot_client import report
from automot_client.bridge.projection import CameraModel
from automot_client.driving.loop import ClosedLoop, LoopOptions
from automot_client.driving.recording import RunRecorder
from scripted_planner import ScriptedPlanner
from scripted_world import ScriptedWorld


def drive(folder: Path, world: ScriptedWorld, planner: ScriptedPlanner, seconds: float):
    recorder = RunRecorder(folder)
    loop = ClosedLoop(
        world, planner, recorder, LoopOptions(seconds=seconds), camera_model=CameraModel(128, 64)
    )
    result = loop.run()
    recorder.finish(
        {
            "started": "",
            "wall_s": result.wall_s,
            "missed_ticks": result.missed_ticks,
            "ticks": result.ticks,
            "options": {
                "planning_rate_hz": 20.0,
                "reasoning_rate_hz": 2.0,
                "pace": "max",
                "seed": 100,
                "target_point_rule": "route_distance:8,20",
            },
            "world": {"traffic_density": 0.1, "blocks": 1},
            "camera": dataclasses.asdict(CameraModel(128, 64)),
            "server": {"model_revision": "00", "weights_trained": False, "lane": "in_process"},
            "episodes": [vars(episode) for episode in result.episodes],
            "events": [],
        }
    )
    return result


def read_ticks(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "ticks.jsonl").read_text().splitlines()]


def test_a_crash_ends_the_episode_and_the_run_goes_on(tmp_path, straight_road):
    world, planner = ScriptedWorld(straight_road, crash_after=15), ScriptedPlanner()
    result = drive(tmp_path, world, planner, seconds=2.0)
    assert result.ticks == 40 and world.resets == 2
    assert [episode.end for episode in result.episodes] == [
        "crash_vehicle",
        "crash_vehicle",
        "time_up",
    ]
    assert [episode.seed for episode in result.episodes] == [100, 101, 102]
    assert {tick["plan"]["snapshot"]["episode"] for tick in read_ticks(tmp_path)} == {1, 2, 3}
    times = [tick["time_us"] for tick in read_ticks(tmp_path)]
    assert times == sorted(times) and len(set(times)) == 40


def test_run_that_ends_with_its_episode_has_no_empty_last_one(tmp_path, straight_road):
    result = drive(
        tmp_path, ScriptedWorld(straight_road, crash_after=20), ScriptedPlanner(), seconds=1.0
    )
    assert [episode.end for episode in result.episodes] == ["crash_vehicle"]


def test_short_gap_holds_the_last_control_and_a_long_one_brakes(tmp_path, straight_road):
    world = ScriptedWorld(straight_road, crash_after=10_000)
    planner = ScriptedPlanner(fail_ticks=frozenset(range(5, 25)))
    drive(tmp_path, world, planner, seconds=1.5)
    last_good = world.controls[4]
    assert world.controls[5:15] == [last_good] * 10
    assert all(control.brake == 1.0 for control in world.controls[15:25])
    assert world.controls[25].brake == 0.0
    failed = [tick for tick in read_ticks(tmp_path) if tick["plan"] is None]
    assert len(failed) == 20 and "UNAVAILABLE" in failed[0]["error"]


def test_record_makes_a_report(tmp_path, straight_road):
    drive(tmp_path, ScriptedWorld(straight_road, crash_after=15), ScriptedPlanner(), seconds=1.0)
    summary = report.write(tmp_path)
    assert summary["collisions"] == 1 and summary["episodes"] == 2
    assert summary["snapshots_used"] > 2
    assert summary["reasoning_ms"]["p50"] > 100
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_answer_without_control_counts_as_failed(tmp_path, straight_road, monkeypatch):
    planner = ScriptedPlanner()
    answer = planner.plan

    def without_control(observation):
        plan = answer(observation)
        object.__setattr__(plan, "control", None)
        return plan

    monkeypatch.setattr(planner, "plan", without_control)
    drive(tmp_path, ScriptedWorld(straight_road, crash_after=1000), planner, seconds=0.2)
    ticks = read_ticks(tmp_path)
    assert all(tick["plan"] is None and "controller is off" in tick["error"] for tick in ticks)


def test_late_realtime_loop_slips_instead_of_bursting(tmp_path, straight_road):
    clock = {"now": 0.0}
    starts: list[float] = []

    def sleep(seconds: float) -> None:
        clock["now"] += seconds

    class SlowOnce(ScriptedPlanner):
        def plan(self, observation):
            starts.append(clock["now"])
            clock["now"] += 0.23 if len(starts) == 4 else 0.01
            return super().plan(observation)

    loop = ClosedLoop(
        ScriptedWorld(straight_road, 1000),
        SlowOnce(),
        RunRecorder(tmp_path),
        LoopOptions(seconds=0.5, realtime=True),
        camera_model=CameraModel(64, 32),
        monotonic=lambda: clock["now"],
        sleep=sleep,
    )
    assert loop.run().missed_ticks == 3
    assert starts[:4] == pytest.approx([0.0, 0.05, 0.10, 0.15])
    assert starts[4] == pytest.approx(0.38)
    assert starts[5:] == pytest.approx([0.40, 0.45, 0.50, 0.55, 0.60])


def test_making_a_new_scene_is_no_missed_tick(tmp_path, straight_road):
    clock = {"now": 0.0}

    def sleep(seconds: float) -> None:
        clock["now"] += seconds

    class SlowReset(ScriptedWorld):
        def reset(self) -> None:
            clock["now"] += 0.7
            super().reset()

    loop = ClosedLoop(
        SlowReset(straight_road, crash_after=5),
        ScriptedPlanner(),
        RunRecorder(tmp_path),
        LoopOptions(seconds=0.5, realtime=True),
        camera_model=CameraModel(64, 32),
        monotonic=lambda: clock["now"],
        sleep=sleep,
    )
    result = loop.run()
    assert result.missed_ticks == 0
    assert result.reset_wall_s == pytest.approx(1.4)
    assert result.wall_s == pytest.approx(0.45)
