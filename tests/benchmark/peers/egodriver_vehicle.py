"""A rollout of the egodriver contract, with the messages of carla-driver-interface. `step` times `drive`."""

from __future__ import annotations

import time
import uuid

import grpc
import payloads
from carla_driver_interface import protocol
from carla_driver_interface.contract import contract_metadata, negotiate
from carla_driver_interface.geometry import Pose, Trajectory, waypoints_to_proto
from carla_driver_interface.testing import FakeCamera

STEP_US = 100_000
SPEED_MPS = 8.0
STEPS = 200  # of a rollout, as alpasim's runtime makes them


class Rollout:
    """Drives straight on, one rollout after the other."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=protocol.channel_options())
        self._stub = protocol.EgodriverServiceStub(self._channel)
        _, self._revision = negotiate(self._stub, timeout=30.0)
        self._image = payloads.jpeg()
        self._camera = FakeCamera("camera_front", 1600, 900)
        self._session = ""
        self._step = STEPS

    def step(self) -> float:
        """Observations, then one drive; the seconds of the drive alone."""
        if self._step == STEPS:
            self._open()
        now_us = self._step * STEP_US
        self._step += 1
        self._observe(now_us)
        request = protocol.DriveRequest(
            session_uuid=self._session, time_now_us=now_us, time_query_us=now_us + STEP_US
        )
        began = time.perf_counter()
        response = self._stub.drive(request, timeout=60.0)
        seconds = time.perf_counter() - began
        if len(response.trajectory.poses) < 2:
            raise AssertionError("an empty plan")
        return seconds

    def _open(self) -> None:
        if self._session:
            self._stub.close_session(
                protocol.DriveSessionCloseRequest(session_uuid=self._session), timeout=60.0
            )
        self._session, self._step = str(uuid.uuid4()), 0
        request = protocol.DriveSessionRequest(session_uuid=self._session, random_seed=7)
        request.rollout_spec.vehicle.available_cameras.append(
            self._camera.available_camera(self._revision)
        )
        self._stub.start_session(request, timeout=60.0, metadata=contract_metadata(self._revision))

    def _observe(self, now_us: int) -> None:
        image = protocol.RolloutCameraImage(session_uuid=self._session)
        image.camera_image.logical_id = "camera_front"
        image.camera_image.frame_start_us = image.camera_image.frame_end_us = now_us
        image.camera_image.image_bytes = self._image
        self._stub.submit_image_observation(image, timeout=60.0)
        egomotion = protocol.RolloutEgoTrajectory(session_uuid=self._session)
        pose = Pose.from_xyz_yaw(SPEED_MPS * now_us * 1e-6, 0.0, 0.0, 0.0)
        egomotion.trajectory.CopyFrom(Trajectory([now_us], [pose]).to_proto())
        egomotion.dynamic_states.append(
            protocol.DynamicState(linear_velocity=protocol.Vec3(x=SPEED_MPS))
        )
        self._stub.submit_egomotion_observation(egomotion, timeout=60.0)
        ahead = waypoints_to_proto([[2.0 * i, 0.0, 0.0] for i in range(40)])
        route = protocol.Route(timestamp_us=now_us, waypoints=ahead)
        self._stub.submit_route(
            protocol.RouteRequest(session_uuid=self._session, route=route), timeout=60.0
        )
