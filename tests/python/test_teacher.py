"""The teacher: its control, its path, its speed, its labels, on states made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from automot_client.bridge.route import Route
from automot_client.bridge.route_roads import RouteRoad
from automot_client.bridge.world import WorldState
from automot_client.geometry import Box, Pose
from automot_client.teacher.follower import TrajectoryFollower
from automot_client.teacher.forecast import forecast, project
from automot_client.teacher.path import plan_path
from automot_client.teacher.speed import IdmOptions, curve_limits, idm_acceleration
from automot_client.teacher.teacher import ACCELERATE, KEEP, SLOW, STOP, Teacher, decide
from golden_case import read_case

ROADS = [RouteRoad(0.0, 260.0, "S", 1, 0)]


def straight_route() -> Route:
    return Route(np.stack([np.arange(0.0, 320.5, 0.5), np.zeros(641)], axis=1))


def car(x: float, y: float, **changes: object) -> Box:
    return Box(
        **{"x": x, "y": y, "yaw": 0.0, "length": 4.5, "width": 1.8, "height": 1.5, **changes}
    )


def state(pose: Pose, speed: float, boxes: list[Box]) -> WorldState:
    return WorldState(0, 0, pose, speed, 0.0, np.zeros((2, 2)), 0, 0.0, 0.0, boxes)


def plan(x: float, y: float, speed: float, boxes: list[Box], yaw: float = 0.0):
    route = straight_route()
    for passed in np.arange(0.0, x + 0.1, 5.0):
        route.update(float(passed), y)
    route.update(x, y)
    return Teacher(route, ROADS, 4.5).plan(state(Pose(x, y, yaw), speed, boxes))


def test_control_is_the_references():
    case = read_case("f_control")
    routes, waypoints = case["route"], case["waypoints"]
    follower = TrajectoryFollower()
    for i, speed in enumerate(case["speed"]):
        control = follower.step(routes[i].reshape(20, 2), waypoints[i].reshape(6, 2), float(speed))
        assert control.steer == pytest.approx(case["steer"][i], abs=1e-3), i
        if speed * 3.6 <= 35.0:
            assert control.throttle == pytest.approx(case["throttle"][i], abs=1e-5), i
            assert control.brake == case["brake"][i], i


def test_free_road_is_driven_at_the_wanted_speed_with_points_a_metre_apart():
    found = plan(50.0, 0.0, 8.5, [])
    assert found.route == pytest.approx(
        np.stack([np.arange(1, 21), np.zeros(20)], axis=1), abs=1e-6
    )
    assert found.waypoints[:, 0] == pytest.approx(8.5 * 0.5 * np.arange(1, 7), abs=0.3)
    assert found.decisions.tolist() == [KEEP] * 3
    assert found.future_speeds == pytest.approx([8.5] * 3, abs=0.2)


def test_astray_state_is_led_back_within_metres():
    found = plan(50.0, 1.5, 6.0, [], yaw=0.2)
    local = found.path
    assert local[0] == pytest.approx([50.0, 1.5], abs=0.05)
    assert abs(local[20][1]) < 0.1
    assert np.hypot(*np.diff(found.route, axis=0).T) == pytest.approx(np.ones(19), abs=0.02)


def test_standing_lead_is_stopped_for_and_a_car_in_the_next_lane_is_not():
    assert plan(50.0, 0.0, 8.0, [car(62.0, 0.0)]).future_speeds[-1] < 1.0
    assert plan(50.0, 0.0, 8.0, [car(62.0, 3.5)]).future_speeds[-1] > 7.5
    assert plan(50.0, 0.0, 0.0, [car(57.0, 0.0)]).decisions.tolist() == [STOP] * 3


def test_faster_car_behind_is_not_braked_for():
    assert plan(50.0, 0.0, 5.0, [car(42.0, 0.0, speed_mps=8.5)]).future_speeds[-1] > 7.0


def test_moving_lead_is_followed():
    followed = plan(50.0, 0.0, 8.0, [car(66.0, 0.0, speed_mps=5.0)]).future_speeds[-1]
    assert 3.0 < followed < 7.5


def test_crossing_car_that_comes_in_time_is_braked_for_and_a_late_or_leaving_one_is_not():
    crossing = {"yaw": math.pi / 2, "speed_mps": 8.0}
    assert plan(50.0, 0.0, 8.0, [car(64.0, -10.0, **crossing)]).future_speeds[0] < 7.0
    assert plan(50.0, 0.0, 8.0, [car(64.0, 6.0, **crossing)]).future_speeds[0] > 7.5
    assert plan(50.0, 0.0, 8.0, [car(58.0, -24.0, **crossing)]).future_speeds[0] > 7.5


def test_broken_vehicle_is_passed_on_the_side_that_has_a_lane():
    broken = car(90.0, 0.0, kind="broken_vehicle")
    route = straight_route()
    for x in np.arange(0.0, 61.0, 5.0):
        route.update(float(x), 0.0)
    path = plan_path(route, ROADS, Pose(60.0, 0.0, 0.0), [broken])
    beside = path[np.abs(path[:, 0] - 90.0) < 3.0]
    assert beside[:, 1] == pytest.approx(-3.5, abs=0.05)
    hemmed = plan_path(route, [RouteRoad(0.0, 260.0, "S", 0, 0)], Pose(60.0, 0.0, 0.0), [broken])
    assert np.abs(hemmed[:, 1]).max() < 1e-9


def test_curve_is_met_at_its_speed():
    angle = np.linspace(0.0, math.pi / 2, 40)
    bend = np.stack([40 + 10 * np.sin(angle), 10 - 10 * np.cos(angle)], axis=1)
    path = np.concatenate([np.stack([np.arange(0, 40, 0.5), np.zeros(80)], axis=1), bend])
    limits = curve_limits(path, IdmOptions())
    assert limits[0] == pytest.approx(8.5)
    assert limits[80:110].min() == pytest.approx(math.sqrt(2.8 * 10.0), rel=0.15)
    assert np.all(np.diff(limits[:80]) <= 1e-9)


def test_idm_wants_more_room_behind_a_slower_lead():
    options = IdmOptions()
    assert idm_acceleration(options, 0.0, 8.5, math.inf, 0.0) == options.acceleration_mps2
    assert idm_acceleration(options, 8.5, 8.5, math.inf, 0.0) == pytest.approx(0.0, abs=1e-9)
    behind = [idm_acceleration(options, 8.0, 8.5, 25.0, lead) for lead in (8.0, 4.0)]
    assert behind[0] > behind[1]
    assert idm_acceleration(options, 8.0, 8.5, 0.0, 0.0) == -options.hardest_mps2


def test_forecast_says_when_a_crossing_car_is_in_the_way():
    path = np.stack([np.arange(0.0, 60.5, 0.5), np.zeros(121)], axis=1)
    box = car(20.0, -10.0, yaw=math.pi / 2, speed_mps=8.0)
    inside = forecast(path, [box], Pose(0.0, 0.0, 0.0)).inside[0]
    assert not inside[0] and inside[4:6].all() and not inside[-1]


def test_right_of_the_path_is_positive():
    s, d, _ = project(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), np.array([[1.5, 0.7]]))
    assert (s[0], d[0]) == (pytest.approx(1.5), pytest.approx(0.7))


def test_path_whose_last_point_is_there_twice_has_a_direction():
    path = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    s, d, tangent = project(path, np.array([[2.5, 0.2], [0.4, -1.0]]))
    assert s == pytest.approx([2.5, 0.4]) and d == pytest.approx([0.2, -1.0])
    assert tangent == pytest.approx(np.array([[1.0, 0.0], [1.0, 0.0]]))


def test_decisions_follow_the_speeds():
    assert decide(np.array([5.0, 6.0, 6.2, 5.0])).tolist() == [ACCELERATE, KEEP, SLOW]
    assert decide(np.array([3.0, 0.4, 0.0, 2.0])).tolist() == [STOP, STOP, ACCELERATE]
