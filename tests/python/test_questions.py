"""Answers about scenes made by hand, and what is asked."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from automot_client.bridge.projection import CameraModel
from automot_client.bridge.route_roads import RouteRoad
from automot_client.bridge.world import WorldState
from automot_client.dataset.questions import Questioner, scene_answers
from automot_client.geometry import Box, Pose

STRAIGHT = np.stack([np.arange(0.0, 60.5, 0.5), np.zeros(121)], axis=1)


def car(x: float, y: float, **changes: object) -> Box:
    return Box(
        **{"x": x, "y": y, "yaw": 0.0, "length": 4.5, "width": 1.8, "height": 1.5, **changes}
    )


def answers(
    boxes: list[Box], path: np.ndarray = STRAIGHT, speed: float = 6.0, block: str = "S"
) -> dict[str, str]:
    state = WorldState(0, 0, Pose(0.0, 0.0, 0.0), speed, 0.0, np.zeros((2, 2)), 0, 0.0, 0.0, boxes)
    roads = [RouteRoad(0.0, 200.0, block, 1, 1)]
    return scene_answers(state, path, roads, 0.0, CameraModel(128, 96), 4.5)


def test_empty_road():
    assert answers([]) == {
        "vehicles_ahead": "none",
        "nearest_distance": "no vehicle within 30 metres",
        "crossing": "no",
        "lane_free": "yes",
        "road_bend": "straight",
        "turn_coming": "no",
        "ego_stopped": "no",
    }


def test_vehicles_ahead_are_counted_and_the_hidden_and_those_behind_are_not():
    ahead, beside, behind = car(12.0, 0.0), car(20.0, 5.0), car(-10.0, 0.0)
    assert answers([ahead, beside, behind])["vehicles_ahead"] == "two"
    assert answers([ahead, car(19.0, 0.0)])["vehicles_ahead"] == "one"
    assert answers([ahead])["nearest_distance"] == "under 10 metres"
    assert answers([car(20.0, 0.0)])["nearest_distance"] == "10 to 20 metres"


def test_borders_are_not_asked():
    edge = car(10.0 + 4.5, 0.0)
    assert "nearest_distance" not in answers([edge])
    assert "ego_stopped" not in answers([], speed=0.5)


def test_lane_and_side():
    assert answers([car(15.0, 0.0)])["lane_free"] == "no"
    right = answers([car(15.0, 4.0)])
    assert (right["lane_free"], right["nearest_side"]) == ("yes", "right")
    assert answers([car(15.0, -4.0)])["nearest_side"] == "left"


@pytest.mark.parametrize(
    ("y", "speed", "answer"), [(-8.0, 5.0, "yes"), (8.0, 5.0, "no"), (-8.0, 0.0, "no")]
)
def test_crossing_means_moving_across_towards_our_way(y, speed, answer):
    crossing = car(15.0, y, yaw=math.pi / 2, speed_mps=speed)
    assert answers([crossing])["crossing"] == answer


def test_bends_and_turns():
    bend = np.deg2rad(np.minimum(np.arange(120) * 0.5, 20.0))
    path = np.concatenate(
        [[[0.0, 0.0]], np.cumsum(0.5 * np.stack([np.cos(bend), np.sin(bend)], axis=1), axis=0)]
    )
    assert answers([], path)["road_bend"] == "right"
    assert answers([], path * (1.0, -1.0))["road_bend"] == "left"
    assert "road_bend" not in answers([], path, block="X")
    turn = np.deg2rad(np.minimum(np.arange(120) * 2.0, 90.0))
    sharp = np.concatenate(
        [[[0.0, 0.0]], np.cumsum(0.5 * np.stack([np.cos(turn), np.sin(turn)], axis=1), axis=0)]
    )
    assert answers([], sharp)["turn_coming"] == "yes"
    assert answers([], speed=0.0)["ego_stopped"] == "yes"


def test_held_out_family_is_never_taught():
    known = answers([car(15.0, 4.0)])
    for split, asked in (("train", False), ("validation", True)):
        questioner = Questioner(np.random.default_rng(0), split)
        families = {
            one["family"] for _ in range(100) for one in questioner.ask(known, np.zeros((2, 2)))
        }
        assert ("nearest_side" in families) is asked


def test_rare_answers_are_asked_first_and_targets_are_told():
    questioner = Questioner(np.random.default_rng(0), "train", per_frame=1)
    common, rare = {"crossing": "no", "lane_free": "yes"}, {"crossing": "yes", "lane_free": "yes"}
    for _ in range(200):
        questioner.ask(common, np.zeros((2, 2)))
    asked = Counter(
        (one["family"], one["answer"])
        for _ in range(20)
        for one in questioner.ask(rare, np.zeros((2, 2)))
    )
    assert asked["crossing", "yes"] > 12
    told = questioner.ask({"turn_coming": "no"}, np.array([[8.0, 0.5], [20.0, -1.0]]))
    assert "(8.00, 0.50), (20.00, -1.00)" in told[0]["question"]
