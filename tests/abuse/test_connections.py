"""Thousands of connections: cut when they say nothing, and none too many for an honest vehicle."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import attacks
import http2
import service
from service import MIB

COUNT = 2000


def _connect(port: int) -> socket.socket:
    return socket.create_connection(
        ("127.0.0.1", port), timeout=service.PATIENCE_S, source_address=(attacks.HOSTILE, 0)
    )


def _connect_many(port: int, count: int) -> list[socket.socket]:
    """Those of `count` that were not reset at once."""
    connections = []
    for _ in range(count):
        with contextlib.suppress(ConnectionResetError):
            connections.append(_connect(port))
    return connections


def _cut(connection: socket.socket) -> bool:
    """The other side closed it: what it had said before is read first."""
    try:
        while http2.readable(connection):
            if not connection.recv(4096):
                return True
    except OSError:
        return True
    return False


def test_silent_connections_are_cut_and_an_honest_vehicle_is_served_meanwhile(
    tmp_path: Path,
) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        control = vehicle.late_of(50)
        before, files = server.resident_bytes(), server.open_files()
        silent = [_connect(server.port) for _ in range(COUNT)]
        assert vehicle.late_of(50) <= control
        assert service.Vehicle(server.stub(), "newcomer").late_of(20) <= control
        assert server.resident_bytes() - before < 128 * MIB
        service.eventually(lambda: all(_cut(connection) for connection in silent), "all are cut")
        service.eventually(lambda: server.open_files() <= files + 8, "and forgotten")
        assert vehicle.late_of(20) <= control


def test_connections_that_begin_calls_and_say_no_more_hold_little(tmp_path: Path) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        control = vehicle.late_of(50)
        before = server.resident_bytes()
        attackers = [http2.Attacker(server.port) for _ in range(500)]
        for attacker in attackers:
            attacker.call(http2.STREAM_PLANS)
        assert vehicle.late_of(50) <= control
        assert server.resident_bytes() - before < 256 * MIB
        for attacker in attackers:
            attacker.close()
        assert vehicle.late_of(20) <= control


def test_connections_of_one_host_are_refused_at_half_and_make_room_when_they_close(
    tmp_path: Path,
) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS, "--max-connections", "200") as server:
        vehicle = service.Vehicle(server.stub(), "car")
        control = vehicle.late_of(50)
        connections = _connect_many(server.port, COUNT)
        refused = "automot_connections_refused_total"
        service.eventually(lambda: server.metric(refused) >= COUNT - 100, "the rest is refused")
        assert server.metric(refused) == COUNT - 100
        assert service.Vehicle(server.stub(), "newcomer").late_of(20) <= control
        assert vehicle.late_of(50) <= control
        for connection in connections:
            connection.close()
        service.eventually(lambda: server.open_files() < 60, "the server has closed them")
        again = [_connect(server.port) for _ in range(50)]
        assert service.Vehicle(server.stub(), "another").late_of(20) <= control
        assert not any(_cut(connection) for connection in again)
        for connection in again:
            connection.close()


def test_a_process_short_of_files_goes_on_accepting(tmp_path: Path) -> None:
    """gRPC's own listener stops for good at the first connection that there is no descriptor for."""
    with service.running(tmp_path, *service.CAMERA_FLAGS, files=256) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        control = vehicle.late_of(50)
        connections = _connect_many(server.port, 600)
        assert vehicle.late_of(50) <= control
        assert service.Vehicle(server.stub(), "newcomer").late_of(20) <= control
        assert server.open_files() < 256
        for connection in connections:
            connection.close()
