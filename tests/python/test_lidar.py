"""What a cast sweep returns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from automot_client.bridge.lidar import LidarCaster
from automot_client.bridge.road_map import KERB_HEIGHT_M, RoadMap
from automot_client.geometry import Box, Pose, ego_to_local

ORIGIN = Pose(0.0, 0.0, 0.0)


def empty_map() -> RoadMap:
    return RoadMap.from_lanes([])


def car(x: float, y: float, height: float = 1.5, yaw: float = 0.0) -> Box:
    return Box(x, y, yaw, 4.0, 2.0, height)


def test_sweep_of_an_empty_scene_has_no_points():
    points = LidarCaster(empty_map()).sweep(ORIGIN, [])
    assert points.shape == (0, 3) and points.dtype == np.float32


def test_only_the_facing_side_and_the_roof_of_a_vehicle_return_points():
    points = LidarCaster(empty_map()).sweep(ORIGIN, [car(10.0, 0.0)])
    side = points[points[:, 2] < 1.5 - 1e-3]
    roof = points[points[:, 2] >= 1.5 - 1e-3]
    assert len(side) > 50 and len(roof) > 10
    assert np.abs(side[:, 0] - 8.0).max() < 1e-3
    assert side[:, 2].min() > 0.0 and np.abs(side[:, 1]).max() <= 1.0 + 1e-3
    assert roof[:, 0].min() >= 8.0 - 1e-3 and roof[:, 0].max() <= 12.0 + 1e-3
    assert np.abs(roof[:, 2] - 1.5).max() < 1e-3


def test_vehicle_to_the_right_has_positive_y():
    points = LidarCaster(empty_map()).sweep(ORIGIN, [car(0.0, 8.0)])
    assert len(points) and points[:, 1].min() > 6.9


def test_vehicle_behind_a_taller_one_is_hidden():
    caster = LidarCaster(empty_map())
    low = car(16.0, 0.0, height=1.5)
    assert caster.sweep(ORIGIN, [low])[:, 0].max() > 14.0 - 1e-3
    both = caster.sweep(ORIGIN, [car(6.0, 0.0, height=2.4), low])
    assert len(both) and both[:, 0].max() < 8.1


def test_beams_pass_over_a_low_vehicle_and_hit_the_tall_one_behind():
    points = LidarCaster(empty_map()).sweep(
        ORIGIN, [car(6.0, 0.0, height=1.0), car(20.0, 0.0, height=2.4)]
    )
    behind = points[points[:, 0] > 10.0]
    assert len(behind)
    # The line of sight over the roof edge of the low one, 8 m away at 1.0 m height.
    assert behind[:, 2].min() > 2.5 - (2.5 - 1.0) / 8.0 * 18.0 - 1e-3


def test_kerbs_return_points_at_their_height_and_place(straight_road):
    points = LidarCaster(straight_road).sweep(ORIGIN, [])
    assert np.abs(np.abs(points[:, 1]) - 2.0).max() < 1e-3
    assert points[:, 2].max() <= KERB_HEIGHT_M
    above = points[points[:, 2] > 0.2]
    assert above[:, 0].max() > 25.0 and above[:, 0].min() < -25.0


def test_nothing_is_returned_beyond_the_range():
    caster = LidarCaster(empty_map())
    assert len(caster.sweep(ORIGIN, [car(caster.model.range_m + 3.0, 0.0)])) == 0


def test_sweep_does_not_depend_on_where_the_local_origin_is(straight_road):
    moved = Pose(500.0, -80.0, 2.0)
    boxes = [car(12.0, 3.0, yaw=0.3), car(-9.0, -2.0)]
    shifted = []
    for box in boxes:
        x, y = ego_to_local(np.array([box.x, box.y]), moved)
        shifted.append(
            Box(float(x), float(y), box.yaw + moved.yaw, box.length, box.width, box.height)
        )
    caster = LidarCaster(empty_map())
    here, there = caster.sweep(ORIGIN, boxes), caster.sweep(moved, shifted)
    assert abs(len(here) - len(there)) <= 4
    assert here.mean(axis=0) == pytest.approx(there.mean(axis=0), abs=0.02)


def test_segment_behind_the_vehicle_across_the_azimuth_seam_is_met():
    points = LidarCaster(empty_map()).sweep(ORIGIN, [car(-10.0, 0.0)])
    bearings = np.arctan2(points[:, 1], points[:, 0])
    assert (bearings > math.pi - 0.1).any() and (bearings < -math.pi + 0.1).any()
