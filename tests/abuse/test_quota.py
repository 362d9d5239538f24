"""One client floods; another client's vehicle keeps its deadlines, and the flood is refused by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import http2
import service
from service import MIB

REFUSED = 'automot_client_quota_refusals_total{quota="'
FLAGS = (
    *service.CAMERA_FLAGS,
    *("--client-max-requests-per-second", "200"),
    *("--client-max-mib-per-second", "4"),
    *("--client-max-sessions", "4"),
)


Flood = Callable[[http2.Attacker], None]


def _while_flooded(server: service.Service, flood: Flood, plans: int, refused: str) -> int:
    """Late answers of an honest vehicle of another host during a flood that is refused as `refused`."""
    vehicle = service.Vehicle(server.stub(), "honest")
    done = threading.Event()

    def repeat() -> None:
        attacker = http2.Attacker(server.port)
        while not done.is_set():
            if not attacker.alive:  # HTTP/2 ended it: it does not keep to its windows
                attacker.close()
                attacker = http2.Attacker(server.port)
            flood(attacker)
            attacker.drain()
        attacker.close()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        late = vehicle.late_of(plans)
        service.eventually(lambda: server.metric(REFUSED + refused) > 0, "the flood is refused")
        return late
    finally:
        done.set()
        thread.join()


def _requests(attacker: http2.Attacker) -> None:
    for _ in range(20):
        attacker.call(http2.STATUS, http2.message(b"\x0a\x01x"), http2.END_STREAM)
    # As many at once as a client's library would have; what more costs is test_http2's matter.
    while (
        attacker.alive and attacker.next_stream // 2 > attacker.received.get(http2.HEADERS, 0) + 200
    ):
        http2.readable(attacker.socket, wait_ms=100)
        attacker.drain()


def _bytes(attacker: http2.Attacker) -> None:
    attacker.call(http2.STATUS, http2.message(b"\x12\xff\x7f" + bytes(16383)), http2.END_STREAM)


def test_a_flood_of_requests_makes_no_other_client_late(tmp_path: Path) -> None:
    with service.running(tmp_path, *FLAGS) as server:
        control = service.Vehicle(server.stub(), "control").late_of(100)
        before = server.resident_bytes()
        late = _while_flooded(server, _requests, 100, "requests")
        assert late <= control
        assert server.resident_bytes() - before < 64 * MIB


def test_a_flood_of_bytes_is_refused_as_bytes(tmp_path: Path) -> None:
    flags = ("--client-max-requests-per-second", "0", "--client-max-mib-per-second", "0.5")
    with service.running(tmp_path, *service.CAMERA_FLAGS, *flags) as server:
        control = service.Vehicle(server.stub(), "control").late_of(20)
        assert _while_flooded(server, _bytes, 20, "bytes") <= control
        assert server.metric(REFUSED + "requests") == 0
