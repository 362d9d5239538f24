"""Seeds of the splits, and what is drawn from a seed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from automot_client.bridge.projection import CameraModel
from automot_client.bridge.route_roads import block_letter
from automot_client.bridge.scene import draw_scene
from automot_client.bridge.splits import SPLITS, require_collectable, seeds_of, split_of
from automot_client.bridge.variation import SensorVariation
from automot_client.geometry import Pose


def test_no_seed_is_in_two_splits():
    for one, other in itertools.combinations(SPLITS.values(), 2):
        assert one.end <= other.begin or other.end <= one.begin


def test_seeds_stay_within_their_split():
    assert {split_of(seed) for seed in seeds_of("validation", 5, 9_995)} == {"validation"}
    with pytest.raises(ValueError, match="offset 9996"):
        seeds_of("validation", 5, 9_996)


def test_held_out_seed_is_never_recorded():
    test = SPLITS["test"]
    for seed in (test.begin, test.end - 1):
        with pytest.raises(ValueError, match="never recorded"):
            require_collectable(seed)
    assert require_collectable(SPLITS["train"].begin) == "train"


def test_scene_and_sensors_come_from_the_seed_alone():
    assert draw_scene(7) == draw_scene(7)
    assert len({(o.traffic_density, o.blocks) for o in map(draw_scene, range(40))}) > 5
    one, same = (SensorVariation(7, CameraModel(128, 96)) for _ in range(2))
    assert (one.camera, one.look) == (same.camera, same.look)
    assert [one.next_losses() for _ in range(500)] == [same.next_losses() for _ in range(500)]
    assert SensorVariation(8, CameraModel(128, 96)).camera != one.camera


def test_losses_happen_and_half_of_a_lost_sweep_is_not_told():
    variation = SensorVariation(1, CameraModel(128, 96))
    losses = [variation.next_losses() for _ in range(4000)]
    assert 0.005 < np.mean([loss.picture for loss in losses]) < 0.05
    assert any(loss.half_sweep for loss in losses)
    assert not any(loss.sweep and loss.half_sweep for loss in losses)


def test_half_a_sweep_is_on_one_side():
    variation = SensorVariation(1, CameraModel(128, 96))
    points = np.array([[5.0, 1.0, 0.5], [5.0, -1.0, 0.5]])
    assert len(variation.halve(points)) == 1


def test_camera_that_looks_down_and_right_sees_the_horizon_higher_and_the_road_to_the_left():
    camera = CameraModel(128, 96, pitch_deg=5.0, yaw_deg=5.0)
    assert camera.horizon_row < 48
    far = camera.to_pixels(camera.to_camera(np.array([1e5, 0.0]), 0.0, Pose(0.0, 0.0, 0.0)))
    assert far[0] < 64 and far[1] == pytest.approx(camera.horizon_row, abs=0.5)


@pytest.mark.parametrize(("node", "letter"), [(">>", "I"), ("2X1_0_", "X"), ("-3C0_1_", "C")])
def test_block_of_a_road_node(node, letter):
    assert block_letter(node) == letter
