"""The same attacks behind the haproxy configuration that is shipped: the service hardly notices them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

import attacks
import http2
import service
from automot_client._generated.automot.v1 import planning_service_pb2
from service import MIB

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy/haproxy/haproxy.cfg"
HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")


def _environment(bind: str, backend: str) -> dict[str, str]:
    return {**os.environ, "AUTOMOT_EDGE_BIND": bind, "AUTOMOT_EDGE_BACKEND": backend}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _edge(folder: Path, server: service.Service) -> Iterator[int]:
    """haproxy in front of `server`; its port."""
    port, log = _free_port(), folder / "haproxy.log"
    environment = _environment(f"127.0.0.1:{port} proto h2", server.planning)
    with log.open("w") as errors:
        command = [HAPROXY, "-db", "-f", str(CONFIGURATION)]
        process = subprocess.Popen(command, env=environment, stderr=errors, stdout=errors)
        try:
            service.eventually(lambda: _listens(port), f"haproxy listens: {log}")
            yield port
            assert process.poll() is None, log.read_text()[-2000:]
        finally:
            process.terminate()
            process.wait(timeout=service.PATIENCE_S)


def test_the_configuration_is_valid() -> None:
    environment = _environment("127.0.0.1:50061 proto h2", "127.0.0.1:50051")
    command = [HAPROXY, "-c", "-f", str(CONFIGURATION)]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr


def test_calls_and_streams_pass_unchanged(tmp_path: Path) -> None:
    with (
        service.running(tmp_path, *service.CAMERA_FLAGS) as server,
        _edge(tmp_path, server) as port,
    ):
        vehicle = service.Vehicle(server.stub(f"127.0.0.1:{port}"), "car")
        assert vehicle.late_of(50) == 0
        requests = [
            planning_service_pb2.StreamPlansRequest(plan=vehicle.request()) for _ in range(50)
        ]
        stream = vehicle.stub.StreamPlans(iter(requests), timeout=service.PATIENCE_S)
        answered = [answer.sequence for answer in stream]
        # A newer plan of a vehicle may overtake an older one.
        assert sorted(answered) == [request.plan.sequence for request in requests]
        with pytest.raises(grpc.RpcError) as refused:  # errors keep code and message
            vehicle.stub.CloseSession(
                planning_service_pb2.CloseSessionRequest(session="car", lease=99),
                timeout=service.PATIENCE_S,
            )
        assert refused.value.code() == grpc.StatusCode.ABORTED
        assert "lease is 99" in refused.value.details()


@pytest.mark.parametrize(
    ("attack", "count", "window"),
    [
        (attacks.rapid_reset, 50_000, 65535),
        (attacks.continuation_flood, 2000, 65535),
        (attacks.ping_flood, 200_000, 65535),
        (attacks.settings_flood, 400_000, 65535),
        (attacks.empty_data_flood, 200_000, 65535),
        (attacks.zero_window, 3000, 0),
    ],
)
def test_attacks_end_at_the_edge(tmp_path: Path, attack: object, count: int, window: int) -> None:
    with (
        service.running(tmp_path, *service.CAMERA_FLAGS) as server,
        _edge(tmp_path, server) as port,
    ):
        vehicle = service.Vehicle(server.stub(f"127.0.0.1:{port}"), "car")
        control = vehicle.late_of(50)
        before, cpu = server.resident_bytes(), server.cpu_seconds()
        attacker = http2.Attacker(port, window=window)
        attacker.socket.settimeout(1)
        attack(attacker, count)
        grown, spent = server.resident_bytes() - before, server.cpu_seconds() - cpu
        print(f"{attack.__name__}: {grown / MIB:.1f} MiB, {spent:.2f} s of processor time")
        assert vehicle.late_of(50) <= control
        assert server.resident_bytes() - before < 96 * MIB
        attacker.close()


def test_one_hosts_connections_are_refused_at_a_bound_and_do_not_reach_the_service(
    tmp_path: Path,
) -> None:
    with (
        service.running(tmp_path, *service.CAMERA_FLAGS) as server,
        _edge(tmp_path, server) as port,
    ):
        vehicle = service.Vehicle(server.stub(f"127.0.0.1:{port}"), "car")
        control, files = vehicle.late_of(50), server.open_files()
        connections = [
            socket.create_connection(("127.0.0.1", port), source_address=(attacks.HOSTILE, 0))
            for _ in range(2000)
        ]
        assert vehicle.late_of(50) <= control
        assert service.Vehicle(server.stub(f"127.0.0.1:{port}"), "new").late_of(20) <= control
        assert server.open_files() <= files + 8
        for connection in connections:
            connection.close()
