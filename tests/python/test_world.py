"""The seams to the simulator that need no simulator: action sign, ends, scene extraction."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from automot_client.bridge.world import EpisodeEnd, classify_end, to_metadrive_action
from automot_client.types import Control


def vehicle(**changes: bool) -> SimpleNamespace:
    values = {
        "on_lane": True,
        "on_yellow_continuous_line": False,
        "on_white_continuous_line": False,
    }
    return SimpleNamespace(**{**values, **changes})


def test_steering_to_the_right_is_negative_in_metadrive():
    assert to_metadrive_action(Control(steer=0.25, throttle=0.5, brake=0.0), 5.0) == [-0.25, 0.5]


def test_braking_is_negative_throttle_and_wins_over_throttle():
    assert to_metadrive_action(Control(steer=0.0, throttle=0.7, brake=1.0), 5.0) == [0.0, -1.0]


def test_brake_is_eased_at_a_stop_but_not_let_go():
    _, pedal = to_metadrive_action(Control(steer=0.0, throttle=0.0, brake=1.0), 0.1)
    assert -0.2 < pedal < 0.0


def test_arriving_is_told_even_when_a_line_is_touched():
    assert classify_end({"arrive_dest": True, "out_of_road": True}, vehicle()) is EpisodeEnd.ARRIVED


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"on_lane": False}, EpisodeEnd.OFF_ROAD_LEFT_LANES),
        ({"on_yellow_continuous_line": True}, EpisodeEnd.OFF_ROAD_YELLOW_LINE),
        ({"on_white_continuous_line": True}, EpisodeEnd.OFF_ROAD_WHITE_LINE),
        ({}, EpisodeEnd.OFF_ROAD_SIDEWALK),
    ],
)
def test_off_road_says_what_was_touched(changes, end):
    found = classify_end({"out_of_road": True}, vehicle(**changes))
    assert found is end and found.is_off_road and not found.is_collision


def test_crash_is_a_collision():
    assert classify_end({"crash_vehicle": True, "out_of_road": True}, vehicle()).is_collision
    assert classify_end({"crash_building": True}, vehicle()) is EpisodeEnd.CRASH_OBJECT


def test_nothing_happened_is_no_end():
    assert classify_end({"max_step": False}, vehicle()) is None
