"""What gRPC of this version does with attacks on HTTP/2 itself; docs/security.md has the limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import attacks
import http2
import service
from service import MIB

Attack = Callable[[http2.Attacker, int], None]


@pytest.mark.parametrize(
    ("attack", "count", "cut"),
    [
        (attacks.continuation_flood, 2000, True),  # 30 MB; reads may bring some before it is cut
        (attacks.ping_flood, 400_000, True),
        (attacks.settings_flood, 400_000, False),
        (attacks.empty_data_flood, 400_000, False),
    ],
)
def test_floods_leave_memory_and_an_honest_vehicle_alone(
    tmp_path: Path, attack: Attack, count: int, cut: bool
) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        control = vehicle.late_of(50)
        before, cpu = server.resident_bytes(), server.cpu_seconds()
        attacker = http2.Attacker(server.port)
        attacker.socket.settimeout(1)
        attack(attacker, count)
        grown, spent = server.resident_bytes() - before, server.cpu_seconds() - cpu
        print(f"{attack.__name__}: {grown / MIB:.1f} MiB, {spent:.2f} s of processor time")
        assert vehicle.late_of(50) <= control
        assert grown < 128 * MIB
        if cut:
            service.eventually(lambda: not attacker.send(b"") or _gone(attacker), "it is cut")
        attacker.close()


def _gone(attacker: http2.Attacker) -> bool:
    attacker.drain()
    return not attacker.alive


def test_answers_that_may_not_be_sent_hold_little(tmp_path: Path) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        control = vehicle.late_of(50)
        before = server.resident_bytes()
        attackers = [http2.Attacker(server.port, window=0) for _ in range(4)]
        for attacker in attackers:
            attacks.zero_window(attacker, 3000)
        assert vehicle.late_of(50) <= control
        # 64 KiB for each of the 1024 calls that a connection may have at once (common/rpc/server_limits.h);
        # the calls sent are three times as many.
        assert server.resident_bytes() - before < len(attackers) * 1024 * MIB // 16
        for attacker in attackers:
            attacker.close()


def test_rapid_reset_is_survived_though_not_bounded(tmp_path: Path) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        before, cpu = server.resident_bytes(), server.cpu_seconds()
        attacker = http2.Attacker(server.port)
        attacks.rapid_reset(attacker, 20_000)
        grown, spent = server.resident_bytes() - before, server.cpu_seconds() - cpu
        print(f"rapid_reset: {grown / MIB:.1f} MiB, {spent:.2f} s of processor time")
        attacker.close()
        service.eventually(lambda: vehicle.late_of(1) == 0, "the vehicle is served again")
        assert vehicle.late_of(20) == 0
