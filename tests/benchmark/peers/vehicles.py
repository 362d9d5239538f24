"""One vehicle of each kind: `step()` is one request, and returns the seconds that count."""

from __future__ import annotations

import http.client
import time
import uuid
from collections.abc import Callable

import grpc
import numpy as np
import payloads

Step = Callable[[], float]


def automot(address: str, payload: str) -> Step:
    """Our service through our Python client, a unary call a tick."""
    from automot_client.client import PlannerClient, SessionOptions
    from automot_client.types import CameraFrame, Observation

    client = PlannerClient(address)
    client.wait_ready(30.0)
    session = client.open_session(f"peers-{uuid.uuid4()}", SessionOptions())
    targets = payloads.state()[1:].astype(np.float64).reshape(2, 2)
    bev, image, counts = payloads.bev_feature(), payloads.raw_image(), payloads.lidar_histogram()
    start_us = time.monotonic_ns() // 1000

    def observation() -> Observation:
        now_us = time.monotonic_ns() // 1000 - start_us
        if payload == "small":
            return Observation(now_us, 8.0, targets, 1, bev_feature=bev)
        frame = CameraFrame(now_us, memoryview(image).cast("B"), payloads.CAMERA_SIZE)
        return Observation(now_us, 8.0, targets, 1, camera_frames=(frame,), lidar_histogram=counts)

    def step() -> float:
        began = time.perf_counter()
        plan = session.plan(observation())
        seconds = time.perf_counter() - began
        if plan.route.shape != (20, 2) or plan.session != session.name:
            raise AssertionError(f"not an answer to this vehicle: {plan}")
        return seconds

    return step


def openpi(address: str, payload: str) -> Step:
    """openpi-server through openpi-client."""
    from openpi_client.websocket_client_policy import WebsocketClientPolicy

    host, port = address.rsplit(":", 1)
    policy = WebsocketClientPolicy(host, int(port))
    observation = {"state": payloads.state()}
    if payload == "small":
        observation["bev_feature"] = payloads.bev_feature()
    else:
        observation |= {"image": payloads.raw_image(), "lidar": payloads.lidar_histogram()}

    def step() -> float:
        began = time.perf_counter()
        answer = policy.infer(observation)
        seconds = time.perf_counter() - began
        if answer["actions"].shape != (26, 2):
            raise AssertionError(f"not an answer: {answer}")
        return seconds

    return step


def automot_health(address: str, payload: str) -> Step:
    """grpc.health.v1 on a connection of its own, as a kubelet probes. `payload` is the service's name."""
    request = b"\x0a" + bytes([len(payload)]) + payload.encode()

    def step() -> float:
        began = time.perf_counter()
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            answer = channel.unary_unary("/grpc.health.v1.Health/Check")(request, timeout=10.0)
        seconds = time.perf_counter() - began
        if answer != b"\x08\x01":
            raise AssertionError(f"not SERVING: {answer!r}")
        return seconds

    return step


def openpi_health(address: str, payload: str) -> Step:
    """GET of the path `payload` on a connection of its own."""

    def step() -> float:
        began = time.perf_counter()
        connection = http.client.HTTPConnection(address, timeout=10.0)
        connection.request("GET", payload)
        status = connection.getresponse().status
        connection.close()
        seconds = time.perf_counter() - began
        if status != 200:
            raise AssertionError(f"status {status}")
        return seconds

    return step
