"""The load client: its schedule on a clock of its own, and all of it against both services in process."""

from __future__ import annotations

import io
import json

import grpc
import numpy as np
import pytest
from PIL import Image

from automot_client import load
from automot_client.loading.open_loop import Schedule, run_schedule
from automot_client.loading.synthetic import SyntheticVehicle
from automot_client.loading.tally import Tally, percentiles
from fake_planning_server import FakeServer
from scripted_planner import ScriptedPlanner


class ManualTime:
    """A clock that only waiting and planning move."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


class Planner:
    """Takes the given seconds for each tick in turn; None fails the tick."""

    def __init__(self, time: ManualTime, seconds: list[float | None]) -> None:
        self.observed: list[int] = []
        self._time, self._seconds = time, list(seconds)
        self._answers = ScriptedPlanner()

    def plan(self, observation):
        self.observed.append(observation.capture_time_us)
        seconds = self._seconds.pop(0)
        if seconds is None:
            raise Refused()
        self._time.wait(seconds)
        return self._answers.plan(observation)


class Refused(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.RESOURCE_EXHAUSTED


def run(seconds: list[float | None], patience_s: float = 10.0) -> tuple[dict, Planner]:
    """Runs one vehicle at 10 Hz; the summary and the planner."""
    time, tally = ManualTime(), Tally()
    planner = Planner(time, seconds)
    schedule = Schedule(100.0, 10.0, len(seconds), patience_s)
    vehicle = SyntheticVehicle(0, (32, 16))
    run_schedule(schedule, vehicle.observe, planner.plan, tally, time.clock, time.wait)
    return tally.summary(), planner


def test_ticks_start_at_their_intended_times():
    summary, planner = run([0.01] * 5)
    assert planner.observed == [0, 100_000, 200_000, 300_000, 400_000]
    assert summary["answered"] == 5 and summary["unsent"] == 0
    assert summary["from_intended_ms"]["max"] == pytest.approx(10.0)


def test_a_stall_is_charged_to_every_tick_that_it_held_up():
    summary, _ = run([0.01, 0.35, 0.01, 0.01, 0.01])
    assert summary["from_sent_ms"]["p50"] == pytest.approx(10.0)
    # Started at 0.1, ended at 0.45: the ticks of 0.2, 0.3 and 0.4 end at 0.46, 0.47 and 0.48.
    assert summary["from_intended_ms"] == {
        "p50": pytest.approx(170.0),
        "p90": pytest.approx(350.0),
        "p99": pytest.approx(350.0),
        "max": pytest.approx(350.0),
    }


def test_failures_are_counted_by_code_and_have_no_latency():
    summary, _ = run([0.01, None, None, 0.01])
    assert summary["failed"] == {"RESOURCE_EXHAUSTED": 2}
    assert summary["answered"] == 2


def test_ticks_that_are_too_late_are_not_sent_and_counted():
    summary, planner = run([5.0, 0.01, 0.01, 0.01], patience_s=1.0)
    assert len(planner.observed) == 1
    assert summary["answered"] == 1 and summary["unsent"] == 3


def test_percentiles_are_values_that_occurred():
    assert percentiles([], 1.0) is None
    values = [float(i) for i in range(1, 101)]
    assert percentiles(values, 1.0) == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}


def test_synthetic_observations_have_the_asked_camera_and_move_on():
    vehicle = SyntheticVehicle(3, (64, 32))
    first, later = vehicle.observe(0), vehicle.observe(1_000_000)
    assert Image.open(io.BytesIO(first.camera_frames[0].data)).size == (64, 32)
    assert (
        later.pose.x == pytest.approx(8.0) and later.camera_frames[0].capture_time_us == 1_000_000
    )
    assert first.lidar_points.shape == (4096, 3) and np.isfinite(first.lidar_points).all()


@pytest.fixture
def server():
    server = FakeServer()
    yield server
    server.stop()


def test_load_against_a_server_reports_every_tick(server, capsys):
    arguments = ["--planning-address", server.address, "--sessions", "3"]
    arguments += ["--rate-hz", "50", "--seconds", "0.2", "--deadline-seconds", "10"]
    assert load.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["planned"] == 30
    assert report["answered"] + report["unsent"] == 30 and report["failed"] == {}
    assert report["weights"] == "untrained" and report["reasons"]["STALE"] == report["answered"]
    assert report["staleness_s"]["max"] == 0.25
    assert len({request.session for request in server.planning.plans}) == 3
    assert len(server.planning.closed) == 3


def test_a_server_that_is_not_there_fails_with_a_reason(capsys):
    arguments = ["--planning-address", "127.0.0.1:1", "--wait-ready-seconds", "0.1"]
    assert load.main(arguments) == 1
    assert "not ready within 0.1 s" in capsys.readouterr().err


def test_absurd_options_are_refused(capsys):
    with pytest.raises(SystemExit):
        load.parse_arguments(["--sessions", "0"])
    assert "--sessions is 0, must be above 0" in capsys.readouterr().err
