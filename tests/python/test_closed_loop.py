"""A closed-loop run without the simulator: the drive of a route, resuming, sessions, sensors."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automot_client._generated.automot.v1 import session_pb2
from automot_client.bridge.projection import CameraModel
from automot_client.bridge.world import EpisodeEnd
from automot_client.driving.planner_port import PlanFailed
from automot_client.driving.sensing import encode_jpeg, observe
from automot_client.evaluate import main
from automot_client.evaluation.closed_loop import announcement, evaluate
from automot_client.evaluation.local_drivers import blind_route, straight_lines
from automot_client.evaluation.route_drive import RouteDrive
from automot_client.evaluation.route_job import DriveSettings, RouteJob
from automot_client.evaluation.run_folder import RunFolder
from automot_client.evaluation.scoring import RouteResult, infractions_of
from automot_client.evaluation.sensing_modes import SENSOR_MODES, SensorFilter
from automot_client.types import Observation
from scripted_planner import ScriptedPlanner
from scripted_world import ScriptedWorld


def job(out: Path, **changes: object) -> RouteJob:
    (out / "routes").mkdir(parents=True, exist_ok=True)
    return RouteJob(out, 50_000, DriveSettings(), **changes)


def test_route_is_driven_to_its_end_and_has_a_page_with_a_video(tmp_path, straight_road):
    world = ScriptedWorld(straight_road, 30, EpisodeEnd.CRASH_OBJECT)
    found = RouteDrive(job(tmp_path, video=True), world, ScriptedPlanner()).run()
    assert (found.outcome, found.infractions) == ("crash_object", {"collision_static": 1})
    assert found.seconds == pytest.approx(1.5)
    assert found.driven_m == pytest.approx(10.5)
    assert 0.0 < found.route_completion < 0.2
    assert found.plans["ticks"] == 30 and found.plans["staleness_max_s"] > 0.0
    page = (tmp_path / "routes" / "seed-050000.html").read_text()
    assert "<video" in page or "data:image/webp" in page
    assert [path.name for path in (tmp_path / "routes").iterdir()] == ["seed-050000.html"]


def test_failed_plans_hold_then_brake_then_end_the_route_without_a_result(tmp_path, straight_road):
    world = ScriptedWorld(straight_road, 1000)
    planner = ScriptedPlanner(fail_ticks=frozenset(range(5, 1000)))
    with pytest.raises(PlanFailed):
        RouteDrive(job(tmp_path, page=False), world, planner).run()
    assert world.controls[4:15] == [world.controls[4]] * 11
    assert all(control.brake == 1.0 for control in world.controls[15:])
    assert len(world.controls) == 5 + 39


def arrived(one: RouteJob) -> RouteResult:
    end = EpisodeEnd.ARRIVED if one.seed % 2 == 0 else EpisodeEnd.CRASH_VEHICLE
    done = 1.0 if end is EpisodeEnd.ARRIVED else 0.5
    return RouteResult(
        one.seed, end.value, done, 400.0, 400.0 * done, 50.0, infractions_of(end), wall_s=30.0
    )


def test_run_goes_on_where_it_was_cut_off(tmp_path, capsys):
    settings = DriveSettings()
    RunFolder(tmp_path).begin(settings)
    driven: list[int] = []

    def drive(one: RouteJob) -> RouteResult:
        driven.append(one.seed)
        if one.seed == 50_002 and driven.count(one.seed) == 1:
            raise PlanFailed("UNAVAILABLE: gone")
        return arrived(one)

    jobs = [RouteJob(tmp_path, seed, settings, page=False) for seed in range(50_000, 50_004)]
    assert evaluate(jobs, 1, drive) == 1
    assert "50002: PlanFailed: UNAVAILABLE" in capsys.readouterr().err
    assert json.loads((tmp_path / "results.json").read_text())["routes"] == 3
    assert evaluate(jobs, 1, drive) == 0
    assert driven == [50_000, 50_001, 50_002, 50_003, 50_002]
    found = json.loads((tmp_path / "results.json").read_text())
    assert (found["routes"], found["success_rate"]) == (4, 0.5)
    assert [one["seed"] for one in found["per_route"]] == list(range(50_000, 50_004))
    assert "seed-050003" in (tmp_path / "index.html").read_text()


def test_time_is_announced_by_what_was_driven(capsys):
    done = [arrived(RouteJob(Path(), 2, DriveSettings()))]
    assert "10 routes to drive, 1 are there; about 2.5 minutes" in announcement(
        done, 10, 2, "service"
    )
    assert "about 1.0 minutes" in announcement([], 5, 1, "blind_route")


def test_run_of_other_settings_is_refused(tmp_path):
    RunFolder(tmp_path).begin(DriveSettings())
    RunFolder(tmp_path).begin(DriveSettings())
    with pytest.raises(ValueError, match=r"density 0\.1, 0\.2 is"):
        RunFolder(tmp_path).begin(DriveSettings(density=0.2))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "--service"),
        (["--driver", "teacher", "--processes", "0"], "--processes"),
        (["--driver", "teacher", "--seeds", "99999"], "seeds"),
        (["--driver", "teacher", "--drop-frames", "1"], "--drop-frames"),
        (["--driver", "teacher", "--target-point-rule", "by_ear"], "by_ear"),
    ],
)
def test_bad_arguments_end_with_2(tmp_path, arguments, word, capsys):
    assert main(["closed-loop", "--out", str(tmp_path), *arguments]) == 2
    assert word in capsys.readouterr().err


def test_stale_context_is_driven_with_rather_than_fallen_back_from():
    plain = DriveSettings().session().to_proto()
    assert plain.simulated_latency_us == 0 and plain.on_expired == 0
    stale = DriveSettings(staleness_s=2.0).session().to_proto()
    assert stale.simulated_latency_us == 2_000_000
    assert stale.hard_staleness_us >= stale.simulated_latency_us + 250_000
    assert stale.on_no_context == session_pb2.ON_NO_CONTEXT_FALLBACK
    assert stale.soft_staleness_us <= stale.hard_staleness_us
    frozen = DriveSettings(context="frozen").session().to_proto()
    assert frozen.reasoning_rate_hz * 120.0 < 2.0 and frozen.hard_staleness_us >= 120_000_000
    assert frozen.retention_us >= frozen.hard_staleness_us
    assert DriveSettings(sensors="no_lidar").session().on_missing_modality == "flag"


def shown(mode: str, world: ScriptedWorld, ticks: int = 1, drop: float = 0.0) -> list[Observation]:
    camera = CameraModel(32, 16)
    white = encode_jpeg(Image.new("RGB", (32, 16), (255, 255, 255)), 90)
    sensors = SensorFilter(mode, camera, drop, 5)
    seen = observe(world.state(), white, np.ones((3, 3)))
    return [sensors.apply(seen) for _ in range(ticks)]


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_sensors_are_left_out_as_asked(mode, straight_road):
    (found,) = shown(mode, ScriptedWorld(straight_road, 100))
    picture = Image.open(io.BytesIO(found.camera_frames[0].data))
    assert (np.asarray(picture).mean() > 250) == (mode in ("full", "no_lidar"))
    assert (found.lidar_points is not None) == (mode in ("full", "no_camera"))


def test_pictures_are_lost_at_the_asked_rate_and_the_same_again(straight_road):
    world = ScriptedWorld(straight_road, 10_000)
    losses = [not o.camera_frames for o in shown("full", world, 400, 0.3)]
    assert losses == [not o.camera_frames for o in shown("full", world, 400, 0.3)]
    assert 80 < sum(losses) < 160 and not losses[0]
    assert not any(not o.camera_frames for o in shown("full", world, 50))


def observation(world: ScriptedWorld) -> Observation:
    return shown("full", world)[0]


def test_blind_driver_follows_the_route_at_8_metres_per_second(straight_road):
    world = ScriptedWorld(straight_road, 100)
    plan = blind_route(world).plan(observation(world))
    assert plan.waypoints[:, 0] == pytest.approx(4.0 * np.arange(1, 7))
    assert plan.route[:, 0] == pytest.approx(np.arange(1.0, 21.0))
    assert plan.control is not None and plan.control.steer == 0.0


def test_straight_lines_cut_the_corner_between_the_target_points(straight_road):
    world = ScriptedWorld(straight_road, 100)
    seen = observation(world)
    object.__setattr__(seen, "target_points", np.array([[8.0, 0.0], [8.0, 12.0]]))
    plan = straight_lines(world).plan(seen)
    assert plan.route[7] == pytest.approx([8.0, 0.0])
    assert plan.route[19] == pytest.approx([8.0, 12.0])
    assert plan.waypoints[5] == pytest.approx([8.0, 16.0])


def test_command_line_knows_its_commands(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "closed-loop" in capsys.readouterr().out
    with pytest.raises((SystemExit, argparse.ArgumentError)):
        main(["by-ear"])
