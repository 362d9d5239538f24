"""Projection geometry and what the drawn picture shows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from automot_client.bridge.camera import CameraRenderer
from automot_client.bridge.projection import CameraModel, clip_near, visible_polygons
from automot_client.geometry import Box, Pose

ORIGIN = Pose(0.0, 0.0, 0.0)


def project(model: CameraModel, x: float, y: float, z: float, pose: Pose = ORIGIN) -> np.ndarray:
    return model.to_pixels(model.to_camera(np.array([[x, y]]), z, pose))[0]


def test_point_straight_ahead_at_camera_height_is_the_picture_centre():
    model = CameraModel()
    assert project(model, 20.0, 0.0, model.z_m) == pytest.approx([256.0, 128.0])


def test_horizontal_field_of_view_reaches_the_picture_edge():
    model = CameraModel()
    depth = 10.0
    right = depth * math.tan(math.radians(model.fov_deg / 2))
    assert project(model, depth + model.x_m, right, 1.0)[0] == pytest.approx(model.width)


def test_right_in_the_ego_frame_is_right_in_the_picture_and_ground_is_below_the_horizon():
    column, row = project(CameraModel(), 10.0, 1.0, 0.0)
    assert column > 256 and row > 128


def test_projection_follows_a_turned_pose():
    model = CameraModel()
    turned = Pose(100.0, -40.0, math.pi / 2)
    # 12 m ahead and 2 m to the right of a vehicle that heads along +y: x falls to the right.
    seen = project(model, 100.0 - 2.0, -40.0 + 12.0, 0.5, turned)
    assert seen == pytest.approx(project(model, 12.0, 2.0, 0.5))


def test_polygon_through_the_near_plane_is_cut_at_it():
    square = np.array([[-1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [1.0, 1.0, 3.0], [-1.0, 1.0, 3.0]])
    cut = clip_near(square, near=0.5)
    assert cut[:, 2].min() == pytest.approx(0.5)
    assert len(cut) == 4
    assert set(np.round(cut[:, 0], 9)) == {-1.0, 1.0}


def test_polygon_behind_the_camera_vanishes_and_order_is_kept():
    model = CameraModel()
    ahead = np.array([[-1.0, 2.0, 5.0], [1.0, 2.0, 5.0], [1.0, 2.0, 9.0], [-1.0, 2.0, 9.0]])
    crossing, behind = ahead - (0.0, 0.0, 6.0), ahead - (0.0, 0.0, 20.0)
    polygons, index = visible_polygons(np.stack([crossing, behind, ahead]), model)
    assert index.tolist() == [0, 2]
    assert all(len(polygon) % 2 == 0 and np.isfinite(polygon).all() for polygon in polygons)


def test_picture_shows_sky_road_and_grass(straight_road):
    pixels = np.asarray(CameraRenderer(straight_road).render(ORIGIN, []))
    assert pixels.shape == (256, 512, 3)
    sky, road, grass = pixels[10, 256], pixels[250, 256], pixels[150, 20]
    assert sky[2] > sky[0] + 40
    assert np.ptp(road.astype(int)) < 15 and road.max() < 130
    assert grass[1] > grass[2]


def test_vehicle_behind_the_camera_is_not_drawn(straight_road):
    renderer = CameraRenderer(straight_road)
    behind = Box(-30.0, 0.0, 0.0, 4.5, 1.9, 1.4)
    empty = renderer.render(ORIGIN, [])
    assert np.array_equal(np.asarray(renderer.render(ORIGIN, [behind])), np.asarray(empty))


def test_nearer_vehicle_hides_the_farther_one(straight_road):
    renderer = CameraRenderer(straight_road)
    near = Box(12.0, 0.0, 0.0, 4.5, 1.9, 2.6)
    far = Box(40.0, 0.0, 0.0, 4.0, 1.7, 1.4)
    alone = renderer.render(ORIGIN, [near])
    assert np.array_equal(np.asarray(renderer.render(ORIGIN, [far, near])), np.asarray(alone))
    assert np.array_equal(np.asarray(renderer.render(ORIGIN, [near, far])), np.asarray(alone))
    assert not np.array_equal(
        np.asarray(renderer.render(ORIGIN, [far])), np.asarray(renderer.render(ORIGIN, []))
    )
