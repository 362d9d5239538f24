"""What automot-drive decides before it drives, and how it shows progress."""

from __future__ import annotations

import dataclasses
import io
import sys

import pytest

from automot_client import drive
from automot_client.bridge.world import EpisodeEnd, WorldState
from automot_client.driving.faults import FaultEvent
from automot_client.driving.loop import Progress
from automot_client.geometry import Pose
from automot_client.types import ServerInfo


def progress(simulated_s: float, **changes: object) -> Progress:
    state = WorldState(0, 2, Pose(0.0, 0.0, 0.0), 6.5, 0.0, None, 1, 0.25, 0.0)  # type: ignore[arg-type]
    values: dict = {"plan": None, "latency_ms": 12.5, "pace": 0.98, "episode_end": None}
    return Progress(simulated_s, state, **(values | changes))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_target_points_are_the_checkpoints_own_unless_asked_otherwise(capsys):
    assert drive.choose_target_point_rule(None, "plan_points:30") == "plan_points:30"
    assert drive.choose_target_point_rule(None, "") == "route_distance:8,20"
    assert capsys.readouterr().err == ""
    assert drive.choose_target_point_rule("route_distance:5,9", "plan_points:30") == (
        "route_distance:5,9"
    )
    assert "declares target points 'plan_points:30'" in capsys.readouterr().err


def test_rule_of_the_checkpoint_that_is_unknown_gives_the_default_and_a_warning(capsys):
    assert drive.choose_target_point_rule(None, "by_ear") == "route_distance:8,20"
    assert "by_ear" in capsys.readouterr().err


def test_pictures_have_the_size_that_the_server_declares():
    server = ServerInfo("00", weights_trained=True, lane="grpc", camera_size=(1024, 512))
    camera = drive.camera_for(server)
    assert (camera.width, camera.height, camera.fov_deg) == (1024, 512, 110.0)
    assert drive.camera_for(dataclasses.replace(server, camera_size=None)).width == 512


@pytest.mark.parametrize(
    "arguments",
    [
        ["--target-point-rule", "by_ear"],
        ["--fault", "melt@3", "--reasoning-pid", "1"],
        ["--fault", "freeze@3"],
        ["--fault", "freeze@3", "--reasoning-pid", "1", "--pace", "max"],
        ["--fault", "restart@3", "--reasoning-pid", "1"],
    ],
)
def test_bad_arguments_end_with_2_before_anything_is_contacted(arguments, capsys):
    assert drive.main(["--planning-address", "127.0.0.1:1", *arguments]) == 2
    assert arguments[0].strip("-").split("-")[0] in capsys.readouterr().err


def test_log_gets_a_line_each_5_seconds_and_every_event(capsys):
    for tick in range(1, 201):
        drive.show_progress(progress(tick / 20))
    drive.show_progress(progress(10.05, event=FaultEvent(10.0, "reasoning frozen")))
    drive.show_progress(progress(10.10, episode_end=EpisodeEnd.CRASH_VEHICLE))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "route  25%" in lines[0] and "no answer" in lines[0]
    assert "reasoning frozen" in lines[2]
    assert "episode 2 ended: crash_vehicle" in lines[3]


def test_terminal_gets_one_line_that_fits(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    for tick in range(1, 41):
        drive.show_progress(progress(tick / 20))
    assert "\n" not in terminal.getvalue()
    lines = terminal.getvalue().split(drive.CLEAR_LINE)[1:]
    assert len(lines) == 40 and max(map(len, lines)) < 60
