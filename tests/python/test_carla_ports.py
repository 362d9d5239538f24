"""The CARLA agent's ports of `automot::control`, on the recordings that the C++ is held to."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from automot_client.carla_agent.agent_rules import AgentRules
from automot_client.carla_agent.geo_reference import (
    GeoReference,
    gnss_to_local,
    reference_of_plan,
    solve_reference,
)
from automot_client.carla_agent.pose_filter import PoseFilter, VehicleState
from automot_client.carla_agent.route_planner import PlanPoint, RoutePlanner
from automot_client.carla_agent.sensor_suite import compass_to_yaw, lidar_to_ego
from automot_client.geometry import Pose
from automot_client.types import Control
from carla_packets import make_plan, to_gnss
from golden_case import read_case

TRACE = Path(__file__).parent.parent / "data" / "carla" / "pose_filter.json"
COMMAND = Control(steer=0.1, throttle=0.2, brake=0.0)


def test_pose_filter_repeats_every_tick_of_the_recording():
    pose_filter = PoseFilter()
    ticks = json.loads(TRACE.read_text())["ticks"]
    assert len(ticks) == 240
    for tick in ticks:
        x, y, yaw, speed = (math.nan if v is None else v for v in tick["measured"])
        state = pose_filter.step(VehicleState(Pose(x, y, yaw), speed), Control(*tick["applied"]))
        actual = [state.pose.x, state.pose.y, state.pose.yaw, state.speed_mps]
        # Sigma points 1e-5 apart leave half of the digits to the order of summation.
        assert actual == pytest.approx(tick["filtered"], abs=1e-6)


def test_route_planner_repeats_every_step_of_the_golden_case():
    golden = read_case("f_route_planner")
    plan = [
        PlanPoint(x, y, int(option))
        for (x, y, _), option in zip(golden["plan"], golden["commands"], strict=True)
    ]
    planner = RoutePlanner(plan)
    for step, pose in enumerate(golden["ego_pose"]):
        targets = planner.step(Pose(*pose))
        assert planner.remaining == golden["remaining"][step]
        assert targets[0] == pytest.approx(golden["target_point"][step], abs=1e-9)
        assert targets[1] == pytest.approx(golden["next_target_point"][step], abs=1e-9)


def test_route_planner_at_the_end_of_its_plan():
    assert RoutePlanner([]).step(Pose(1, 2, 3)) == pytest.approx(np.array([[50, 0], [55, 0]]))
    on_it = RoutePlanner([PlanPoint(0, 0), PlanPoint(3, 4)])
    assert on_it.step(Pose(3, 4, 0)).tolist() == [[0.0, 0.0], [5.0, 0.0]]
    assert on_it.step(Pose(0, 0, 0))[1] == pytest.approx([6.0, 8.0])
    with pytest.raises(ValueError, match=r"plan\[1\] is \(0, nan\)"):
        RoutePlanner([PlanPoint(0, 0), PlanPoint(0, math.nan)])


@pytest.mark.parametrize("case", ["stuck", "parked", "escape_heading", "escape_distance"])
def test_agent_rules_repeat_every_tick_of_the_golden_case(case):
    golden = read_case(f"f_agent_rules_{case}")
    rules = AgentRules()
    for tick, speed in enumerate(golden["speed"]):
        pose = Pose(golden["x"][tick], golden["y"][tick], golden["compass"][tick])
        prepared = rules.before_plan(pose, float(speed))
        command = Control(0.0, 0.0, 1.0) if prepared.warming_up else rules.after_plan(COMMAND)
        state = [rules.stuck_ticks, rules.force_move_ticks, rules.escape_ticks_left]
        state += [rules.escape_cooldown_ticks, rules.escaping, rules.parking_start]
        names = ["stuck_detector", "force_move", "escape_timer", "escape_cooldown"]
        names += ["escape_active", "parking_start_detected"]
        assert state == [golden[name][tick] for name in names], f"tick {tick}"
        override = [golden[f"override_{name}"][tick] for name in ("tp_x", "tp_y", "ntp_x", "ntp_y")]
        if np.isnan(override).any():
            assert prepared.target_override is None, f"tick {tick}"
        else:
            assert prepared.target_override.ravel().tolist() == override, f"tick {tick}"
        if prepared.warming_up or rules.escaping or speed * 3.6 > 35:  # Not the controller's doing.
            assert command.throttle == golden["throttle"][tick], f"tick {tick}"
            assert command.brake == golden["brake"][tick], f"tick {tick}"


def test_forced_moving_gives_throttle_and_takes_the_brake():
    rules = AgentRules()
    for _ in range(31 + 301):
        rules.before_plan(Pose(0, 0, 0), 0.0)
    assert rules.force_move_ticks == 0, (
        "a car that never left its place may be parked: it is not pushed"
    )
    rules.parking_start = False
    rules.before_plan(Pose(0, 0, 0), 0.0)
    assert rules.after_plan(Control(0.1, 0.0, 1.0)) == Control(0.1, 0.4, 0.0)
    assert rules.after_plan(Control(0.1, 0.9, 0.0)) == Control(0.1, 0.9, 0.0)


def test_gnss_becomes_the_golden_metres():
    golden = read_case("f_route_planner")
    for gps, expected, reference in zip(
        golden["gps"], golden["gps_xyz"], (GeoReference(0, 0), GeoReference(42, 2)), strict=True
    ):
        assert gnss_to_local(gps[0], gps[1], reference) == pytest.approx(expected[:2], abs=1e-8)


@pytest.mark.parametrize("place", [(0.0, 0.0), (412.5, -893.0), (-31000.0, 52000.0)])
def test_reference_follows_from_one_place_in_both_forms(place):
    gnss = to_gnss(*place)
    reference = solve_reference(gnss["lat"], gnss["lon"], *place)
    assert (reference.latitude_deg, reference.longitude_deg) == pytest.approx((42.0, 2.0), abs=1e-9)


def test_plan_whose_forms_do_not_belong_together_is_refused():
    gps, world = make_plan([(0.0, 0.0), (50.0, 0.0), (100.0, 10.0)])
    assert reference_of_plan(gps, world).latitude_deg == pytest.approx(42.0)
    with pytest.raises(ValueError, match=r"its last point is 3\.0 m from"):
        world[-1][0].location.y += 3.0
        reference_of_plan(gps, world)
    with pytest.raises(ValueError, match="2 GNSS points for 3 of the map"):
        reference_of_plan(gps[:2], world)
    with pytest.raises(ValueError, match="0 GNSS points for 3 of the map"):
        reference_of_plan(None, world)


def test_lidar_points_become_the_golden_ego_points():
    golden = read_case("f_lidar")
    ego = lidar_to_ego(golden["sensor_now"])
    assert ego.dtype == np.float32
    np.testing.assert_allclose(ego, golden["ego_now"], atol=4e-6)


def test_compass_counts_from_north_and_a_yaw_from_east():
    assert compass_to_yaw(math.pi / 2) == pytest.approx(0.0)
    assert compass_to_yaw(math.pi) == pytest.approx(math.pi / 2)  # South: the y axis.
    assert compass_to_yaw(0.0) == pytest.approx(-math.pi / 2)
    assert abs(compass_to_yaw(3 * math.pi / 2)) == pytest.approx(math.pi)
    assert math.isnan(compass_to_yaw(math.nan))
