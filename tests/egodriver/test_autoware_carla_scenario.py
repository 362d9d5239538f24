"""The client and controller of a CARLA run (autoware-carla-scenario) drive automot-serve, without CARLA.

A kinematic vehicle stands in for the simulator: the client's port of Autoware's controller tracks the plans.
"""

from __future__ import annotations

import io
import math
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from autoware_carla_scenario.driver.base import DriverClientConfig, EgoObservation
from autoware_carla_scenario.driver.control import TrajectoryFollower
from autoware_carla_scenario.driver.egodriver_client import EgoDriverGrpcClient
from autoware_carla_scenario.utils.powertrain import ChaosPowertrain
from carla_driver_interface.geometry import Pose
from carla_driver_interface.protocol import carla_driver_pb2, pack_lidar_sweep
from PIL import Image

STEP_US = 100_000
HEADING = -2.0  # Away from the axes, and the vehicle away from the origin.
START = np.array([-320.0, 145.0, 1.5])
# A car's, as CARLA would report it.
POWERTRAIN = ChaosPowertrain(
    mass_kg=1800.0,
    wheel_radius_m=0.34,
    wheel_brake_torques_nm=(1500.0,) * 4,
    driven_wheels=(0, 1),
    torque_graph=tuple(np.linspace(0.6, 1.0, 20)) + tuple(np.linspace(1.0, 0.5, 20)),
    max_torque_nm=400.0,
    max_rpm=6000.0,
    idle_rpm=800.0,
    engine_brake_effect=0.05,
    gear_ratios=(13.0, 7.5, 5.0, 3.8, 3.0),
    transmission_efficiency=0.9,
    change_up_rpm=4500.0,
    drag_n_per_mps2=0.5,
    wheel_grip_n=6000.0,
)


@pytest.fixture
def client(addresses: dict[str, str]) -> Iterator[EgoDriverGrpcClient]:
    made = EgoDriverGrpcClient(DriverClientConfig(address=addresses["planning"]))
    made.start_session(str(uuid.uuid4()), "scene")
    yield made
    made.close_session()
    made.close_session()


def observe(client: EgoDriverGrpcClient, now_us: int, pose: Pose, speed: float) -> None:
    """One step as the CARLA runtime makes it: image, route, then two poses of 20 Hz."""
    frame = io.BytesIO()
    Image.new("RGB", (960, 604), (80, 90, 100)).save(frame, format="JPEG", quality=90)
    client.submit_image_observation("camera_front_wide_120fov", now_us, now_us, frame.getvalue())
    route = np.stack([np.arange(0.0, 80.0, 2.0), np.zeros(40), np.zeros(40)], axis=1)
    client.submit_route(now_us, route)
    back = Pose.from_xyz_yaw(-speed * 0.05, 0.0, 0.0, 0.0)
    poses = [(now_us - 50_000, pose @ back), (now_us, pose)] if now_us else [(now_us, pose)]
    zero = np.zeros(3)
    client.submit_egomotion_observation(
        [
            EgoObservation(time, where, np.array([speed, 0.0, 0.0]), zero, zero, speed)
            for time, where in poses
        ]
    )


def test_its_controller_tracks_our_plans(client: EgoDriverGrpcClient) -> None:
    pose, speed = Pose.from_xyz_yaw(*START, HEADING), 6.0
    follower = TrajectoryFollower(powertrain=POWERTRAIN)
    for step in range(15):
        now_us = step * STEP_US
        observe(client, now_us, pose, speed)
        outcome = client.drive(now_us, now_us + STEP_US)
        plan = outcome.trajectory
        assert not outcome.terminate_session
        assert outcome.policy_name == "automot"
        assert outcome.debug_scalars["fallback"] == 0.0
        assert len(plan) == 51
        times = np.array(plan.timestamps_us)
        assert (np.diff(times) == STEP_US).all()
        assert times[0] == now_us
        assert plan.positions[0] == pytest.approx(pose.position, abs=1e-3)
        assert np.isfinite(plan.positions).all()
        command = follower.step(
            plan, pose, speed, STEP_US * 1e-6, yaw_rate_rps=0.0, now_us=now_us, gear=1
        )
        assert 0.0 <= command.throttle <= 1.0
        assert 0.0 <= command.brake <= 1.0
        assert -1.0 <= command.steer <= 1.0
        # A vehicle that does what the controller asks for, roughly.
        speed = max(0.0, speed + command.acceleration_mps2 * STEP_US * 1e-6)
        yaw_rate = -speed * math.tan(0.5 * command.steer**3) / 2.8
        pose = pose @ Pose.from_xyz_yaw(speed * 0.1, 0.0, 0.0, yaw_rate * 0.1)


def test_its_packed_sweeps_are_used(client: EgoDriverGrpcClient) -> None:
    pose = Pose.from_xyz_yaw(*START, HEADING)
    observe(client, 0, pose, 5.0)
    points = np.random.default_rng(1).uniform(-20.0, 20.0, (5000, 4)).astype(np.float32)
    points[7, 0] = np.nan
    data = carla_driver_pb2.CarlaRendererData(snapshot_timestamp_us=0, map_name="Town10")
    data.lidar.append(pack_lidar_sweep("lidar_top", 0, points, pose.to_proto()))
    outcome = client.drive(0, STEP_US, data.SerializeToString())
    assert outcome.debug_scalars["no_lidar"] == 0.0
    without = client.drive(STEP_US, 2 * STEP_US, b"\x80\x04something else")
    assert without.debug_scalars["no_lidar"] == 1.0
