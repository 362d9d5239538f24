"""Route planning, progress and target points."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from automot_client.bridge.route import (
    EXTENSION_M,
    LaneChoice,
    Route,
    TargetPointRule,
    build_centre_line,
    choose_lanes,
)
from automot_client.geometry import Pose


@dataclass
class FakeLane:
    """A lane along x at a fixed y."""

    begin: float
    length: float
    y: float

    def position(self, longitudinal: float, lateral: float) -> np.ndarray:
        return np.array([self.begin + longitudinal, self.y + lateral])


def road(begin: float, length: float, ys: list[float]) -> list[FakeLane]:
    return [FakeLane(begin, length, y) for y in ys]


def test_lane_is_kept_where_it_goes_on():
    roads = [road(0, 50, [0.0, 3.5, 7.0]), road(50, 50, [0.0, 3.5, 7.0])]
    assert choose_lanes(roads, 1) == [LaneChoice(1, 1), LaneChoice(1, 1)]


def test_change_happens_once_and_where_there_is_room():
    # Only lane 2 goes on into the last road; the short second road has no room for two changes.
    roads = [road(0, 80, [0.0, 3.5, 7.0]), road(80, 10, [0.0, 3.5, 7.0]), road(90, 40, [7.0])]
    assert choose_lanes(roads, 0) == [LaneChoice(0, 2), LaneChoice(2, 2), LaneChoice(0, 0)]


def test_route_blends_a_lane_change_over_25_m_and_extends_60_m():
    roads = [road(0, 100, [0.0, 3.5])]
    points = build_centre_line(roads, [LaneChoice(0, 1)])
    assert points[0] == pytest.approx([0.0, 0.0])
    assert points[-1][0] == pytest.approx(100.0 + EXTENSION_M, abs=0.7)
    slope = np.abs(np.diff(points[:, 1]) / np.maximum(np.diff(points[:, 0]), 1e-9))
    assert slope.max() < 1.5 * 3.5 / 25 * 1.05
    after = points[(points[:, 0] > 35) & (points[:, 0] < 95)]
    assert after[:, 1] == pytest.approx(3.5, abs=0.01)


def test_completion_counts_without_the_extension():
    route = Route(build_centre_line([road(0, 100, [0.0])], [LaneChoice(0, 0)]))
    for x in range(0, 51, 2):
        route.update(float(x), 0.3)
    assert route.completion == pytest.approx(0.5, abs=0.01)
    for x in range(50, 131, 2):
        route.update(float(x), 0.0)
    assert route.completion == 1.0


def test_lateral_error_is_positive_to_the_right():
    route = Route(build_centre_line([road(0, 100, [0.0])], [LaneChoice(0, 0)]))
    route.update(10.0, 0.8)
    assert route.lateral_error_m(10.0, 0.8) == pytest.approx(0.8)


def straight_route() -> Route:
    return Route(np.stack([np.arange(0.0, 260.5, 0.5), np.zeros(521)], axis=1))


def test_sliding_target_points_are_at_their_distances_in_the_ego_frame():
    route = straight_route()
    route.update(10.0, 1.0)
    points, switches = TargetPointRule("route_distance:8,20").select(route, Pose(10.0, 1.0, 0.0))
    assert points == pytest.approx(np.array([[8.0, -1.0], [20.0, -1.0]]))
    assert switches == 0


def test_target_points_turn_with_the_vehicle():
    route = straight_route()
    points, _ = TargetPointRule().select(route, Pose(0.0, 0.0, math.pi / 2))
    # Heading +y: a point along +x lies to the left, and left is negative y.
    assert points == pytest.approx(np.array([[0.0, -8.0], [0.0, -20.0]]))


def test_sparse_plan_switches_before_a_point_is_reached():
    route, rule = straight_route(), TargetPointRule("plan_points:50")
    seen = []
    for x in np.arange(0.0, 60.0, 0.5):
        route.update(float(x), 0.0)
        points, switches = rule.select(route, Pose(float(x), 0.0, 0.0))
        seen.append((float(x), points[0][0] + x, switches))
    assert seen[0][1:] == (pytest.approx(50.0), 0)
    switched = next(x for x, _, switches in seen if switches == 1)
    assert switched == pytest.approx(50.0 - TargetPointRule.SWITCH_DISTANCE_M)
    assert seen[-1][1] == pytest.approx(100.0)


@pytest.mark.parametrize(
    "text", ["", "route_distance:8", "route_distance:20,8", "plan_points:0", "plan_points:5,6"]
)
def test_bad_rule_is_refused_by_name(text):
    with pytest.raises(ValueError, match="target_point_rule"):
        TargetPointRule(text)


def test_rule_of_the_published_checkpoints_is_a_sparse_plan():
    route = straight_route()
    named, spelled = TargetPointRule("carla_route_planner"), TargetPointRule("plan_points:50")
    here = Pose(0.0, 0.0, 0.0)
    assert np.array_equal(named.select(route, here)[0], spelled.select(route, here)[0])


def test_selects_what_the_service_selects():
    """tests/data/target_points.json: the C++ rule of the egodriver service is held to the same numbers."""
    data = json.loads((Path(__file__).parents[1] / "data/target_points.json").read_text())
    points = np.array(data["route"])
    for case in data["cases"]:
        route = Route(points, extension_m=0.0)
        for index in range(case["index"] + 1):
            route.update(*points[index])
        targets, switches = TargetPointRule(case["rule"]).select(route, Pose(*case["pose"]))
        assert targets == pytest.approx(np.array(case["targets"]), abs=1e-4), case
        assert switches == case["switches"], case
