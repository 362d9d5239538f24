"""Requests that are put together from parts are what protobuf itself would have written, byte for byte."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
import sys

import numpy as np
import pytest

from automot_client import convert, wire
from automot_client._generated.automot.v1 import observation_pb2, planning_service_pb2
from automot_client.geometry import Pose
from automot_client.types import CameraFrame, Observation

BARE = Observation(0, 4.0, np.array([[8.0, 0.5], [20.0, -1.5]]), 3)
FEATURE = np.random.default_rng(1).standard_normal((756, 8, 8)).astype(np.float32)
PICTURE = np.random.default_rng(2).integers(0, 256, (16, 32, 3), np.uint8)
COUNTS = np.random.default_rng(3).integers(0, 6, (256, 512), np.uint8)[:, ::2]
POINTS = np.arange(30, dtype=np.float64).reshape(10, 3)
FULL = dataclasses.replace(
    BARE,
    capture_time_us=-(2**40),
    pose=Pose(1.0, -2.0, 0.5),
    yaw_rate_radps=-0.25,
    camera_frames=(
        CameraFrame(0, b"jpeg"),
        CameraFrame(50_000, memoryview(PICTURE).cast("B"), raw_size=(32, 16)),
        CameraFrame(60_000, b""),
    ),
    lidar_histogram=COUNTS,
    lidar_half_sweep=True,
    lidar_capture_time_us=-5,
    bev_feature=FEATURE,
)
EMPTY_SWEEP = np.zeros((0, 3), np.float32)
OBSERVATIONS = {
    "bare": BARE,
    "full": FULL,
    "points": dataclasses.replace(BARE, lidar_points=POINTS),
    "an empty sweep": dataclasses.replace(BARE, lidar_points=EMPTY_SWEEP, lidar_half_sweep=True),
    "no channels": dataclasses.replace(BARE, bev_feature=FEATURE[:0]),
}


def plain(observation: Observation) -> observation_pb2.Observation:
    """The message, field by field."""
    message = observation_pb2.Observation(capture_time_us=observation.capture_time_us)
    for frame in observation.camera_frames:
        picture = message.camera_images.add(
            capture_time_us=frame.capture_time_us, data=bytes(frame.data)
        )
        if frame.raw_size is not None:
            picture.encoding = observation_pb2.IMAGE_ENCODING_RAW_RGB
            picture.width, picture.height = frame.raw_size
    if observation.lidar_points is not None:
        message.lidar.points.xyz = observation.lidar_points.astype("<f4").tobytes()
        message.lidar.points.SetInParent()
    if observation.lidar_histogram is not None:
        message.lidar.histogram.counts = observation.lidar_histogram.tobytes()
    if message.HasField("lidar"):
        message.lidar.half_sweep = observation.lidar_half_sweep
    if observation.lidar_capture_time_us is not None:
        message.lidar.capture_time_us = observation.lidar_capture_time_us
    if observation.bev_feature is not None:
        message.bev_feature.channels = observation.bev_feature.shape[0]
        message.bev_feature.values = observation.bev_feature.tobytes()
        message.bev_feature.SetInParent()
    message.ego_state.speed_mps = observation.speed_mps
    if observation.pose is not None:
        message.ego_state.pose.position.x = observation.pose.x
        message.ego_state.pose.position.y = observation.pose.y
        message.ego_state.pose.yaw_rad = observation.pose.yaw
    if observation.yaw_rate_radps is not None:
        message.ego_state.yaw_rate_radps = observation.yaw_rate_radps
    (current_x, current_y), (next_x, next_y) = observation.target_points
    message.route_target.current_target_point.x = current_x
    message.route_target.current_target_point.y = current_y
    message.route_target.next_target_point.x = next_x
    message.route_target.next_target_point.y = next_y
    message.route_target.route_revision = observation.route_revision
    return message


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_an_observation_is_what_protobuf_writes(name):
    written = b"".join(convert.observation_to_wire(OBSERVATIONS[name]))
    assert written == plain(OBSERVATIONS[name]).SerializeToString()
    assert convert.observation_to_proto(OBSERVATIONS[name]) == plain(OBSERVATIONS[name])


@pytest.mark.parametrize(
    "context", [None, planning_service_pb2.ContextChoice(at_least_version=300)], ids=str
)
def test_a_request_is_what_protobuf_writes(context):
    head = planning_service_pb2.PlanRequest(session="car", lease=2**63, sequence=7)
    written = b"".join(convert.plan_request_to_wire(head, FULL, context))
    request = planning_service_pb2.PlanRequest(observation=plain(FULL), context=context)
    request.MergeFrom(head)
    assert written == request.SerializeToString()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 2**21 - 1, 2**21])
def test_lengths_of_every_width(size):
    written = b"".join(wire.data(observation_pb2.CameraImage.DATA_FIELD_NUMBER, bytes(size)))
    assert written == observation_pb2.CameraImage(data=bytes(size)).SerializeToString()


def test_an_array_is_lent_not_copied():
    assert np.shares_memory(np.asarray(wire.view(FEATURE)), FEATURE)


# Page faults of 50 ticks with a picture each, after those of the first ones.
TICKS = """
import resource
from automot_client import wire
{prepare}
picture = bytes(1_600_000)
def ticks(count):
    for _ in range(count):
        message = b"".join([b"head", picture])
        slices = [bytearray(message) for _ in range(2)]
        del message, slices
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(-ticks(10) + ticks(50))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's heap")
def test_freed_memory_serves_the_next_tick():
    def faults(prepare: str) -> int:
        script = TICKS.format(prepare=prepare)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        return int(done.stdout)

    assert 10 * faults("wire.keep_freed_memory()") < faults("")
