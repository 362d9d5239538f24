"""The planning service as a process for the abuse suite, what can be read of it, and an honest vehicle."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

from automot_client._generated.automot.v1 import observation_pb2, planning_service_pb2, session_pb2
from automot_client._generated.automot.v1 import planning_service_pb2_grpc as planning_grpc

START_LIMIT_S = 60.0
PATIENCE_S = 60.0  # longer than anything here takes: a hang fails its test
DEADLINE_S = 2.0  # of an honest vehicle's plan
MIB = 1 << 20


def program() -> Path:
    """The server that is abused."""
    return Path(os.environ.get("AUTOMOT_BIN_DIR", "build/release/bin")) / "automot-synthetic-server"


def raise_file_limit() -> None:
    """Lets this process hold thousands of connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Service:
    """A running server: its addresses and what the system and its own metrics say of it."""

    def __init__(self, process: subprocess.Popen, planning: str, metrics: str) -> None:
        self.process, self.planning, self._metrics = process, planning, metrics

    @property
    def port(self) -> int:
        """Of the planning service."""
        return int(self.planning.rsplit(":", 1)[1])

    def resident_bytes(self) -> int:
        """VmRSS."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)
        ticks = sum(int(field) for field in fields[1].split()[11:13])
        return ticks / os.sysconf("SC_CLK_TCK")

    def open_files(self) -> int:
        """Descriptors, of which a connection is one."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def metric(self, name: str) -> float:
        """Sum over the series of one family that begin with `name` (with labels, if any)."""
        with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=PATIENCE_S) as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def stub(self, address: str = "") -> planning_grpc.PlanningServiceStub:
        """Of a connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        channel = grpc.insecure_channel(address or self.planning, options=options)
        return planning_grpc.PlanningServiceStub(channel)


@contextlib.contextmanager
def running(folder: Path, *flags: str, files: int = 0) -> Iterator[Service]:
    """Runs the server with `flags`; `files`: most descriptors that it may open, 0: as this process."""
    command = [program(), "--address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"]
    command += ["--expert-ms", "1", "--reasoning-ms", "20", "--drain-seconds", "2", *flags]
    limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
    log = folder / "server.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=limit,
        )
        try:
            line = process.stdout.readline()
            assert line, f"the server did not start:\n{log.read_text()[-4000:]}"
            said = json.loads(line)
            yield Service(process, said["planning"], said["metrics"])
            assert process.poll() is None, f"the server died:\n{log.read_text()[-4000:]}"
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)
    assert process.returncode == 0, f"status {process.returncode}:\n{log.read_text()[-4000:]}"


def eventually(condition: Callable[[], bool], what: str, limit_s: float = PATIENCE_S) -> None:
    """Asks until it is so; fails after `limit_s`."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {limit_s} s"


def observation(time_us: int) -> observation_pb2.Observation:
    """What a vehicle of the synthetic planner's sees: a small raw picture, a sweep that saw nothing."""
    seen = observation_pb2.Observation(capture_time_us=time_us)
    image = seen.camera_images.add(capture_time_us=time_us, width=CAMERA[0], height=CAMERA[1])
    image.encoding = observation_pb2.IMAGE_ENCODING_RAW_RGB
    image.data = bytes(CAMERA[0] * CAMERA[1] * 3)
    seen.lidar.SetInParent()
    seen.ego_state.speed_mps = 5.0
    seen.ego_state.pose.position.x = 5e-6 * time_us
    seen.route_target.current_target_point.x = 10.0
    seen.route_target.next_target_point.x = 20.0
    return seen


CAMERA = (64, 32)
CAMERA_FLAGS = ("--camera-width", str(CAMERA[0]), "--camera-height", str(CAMERA[1]))


class Vehicle:
    """An honest vehicle: one plan after the other, each with a deadline."""

    def __init__(self, stub: planning_grpc.PlanningServiceStub, name: str) -> None:
        self.stub, self.name, self._sequence = stub, name, 0
        request = planning_service_pb2.OpenSessionRequest(session=name)
        request.options.planning_rate_hz = 20.0
        request.options.reasoning_rate_hz = 2.0
        request.options.time_mode = session_pb2.TIME_MODE_REALTIME
        self.lease = stub.OpenSession(request, timeout=PATIENCE_S).lease

    def request(self) -> planning_service_pb2.PlanRequest:
        """Its next tick."""
        self._sequence += 1
        return planning_service_pb2.PlanRequest(
            session=self.name,
            lease=self.lease,
            sequence=self._sequence,
            observation=observation(50_000 * self._sequence),
        )

    def late_of(self, count: int) -> int:
        """Plans `count` times; how many answers were late or did not come."""
        late = 0
        for _ in range(count):
            try:
                answer = self.stub.Plan(self.request(), timeout=DEADLINE_S)
                assert answer.session == self.name
            except grpc.RpcError:
                late += 1
        return late
