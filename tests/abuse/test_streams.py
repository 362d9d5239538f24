"""Streams whose clients do not read, never end, or are many: what the server holds for each is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc

import http2
import service
from automot_client._generated.automot.v1 import planning_service_pb2
from service import MIB

UNREAD_LIMIT = 64  # answers of one stream that are planned or wait to be written
NOT_FOUND = 'automot_plan_refusals_total{code="not_found"}'


def _refused_plan(sequence: int) -> bytes:
    """A request of a vehicle that is not there: answered at once, with an error."""
    plan = planning_service_pb2.PlanRequest(session="nobody", lease=1, sequence=sequence)
    plan.observation.CopyFrom(service.observation(0))
    plan.observation.ClearField("camera_images")  # 256 then fit the window that a stream has
    request = planning_service_pb2.StreamPlansRequest(plan=plan)
    return http2.message(request.SerializeToString())


def test_a_client_that_does_not_read_is_read_no_further(tmp_path: Path) -> None:
    streams = 8
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        assert vehicle.late_of(20) == 0
        before = server.resident_bytes()
        readers = []
        for _ in range(streams):
            reader = http2.Attacker(server.port, window=0)
            reader.socket.settimeout(0.05)
            readers.append((reader, reader.call(http2.STREAM_PLANS)))
        for sequence in range(1, 4 * UNREAD_LIMIT):
            for reader, stream in readers:
                reader.send(http2.frame(http2.DATA, 0, stream, _refused_plan(sequence)))
        service.eventually(
            lambda: server.metric(NOT_FOUND) >= streams * UNREAD_LIMIT, "requests are read"
        )
        assert vehicle.late_of(40) == 0
        assert server.metric(NOT_FOUND) == streams * UNREAD_LIMIT
        assert server.resident_bytes() - before < 32 * MIB
        for reader, _ in readers:
            reader.close()
        assert vehicle.late_of(20) == 0


def test_endless_streams_stop_at_the_connections_limit(tmp_path: Path) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        assert vehicle.late_of(20) == 0
        before = server.resident_bytes()
        attackers = [http2.Attacker(server.port) for _ in range(4)]
        for attacker in attackers:
            for _ in range(3000):
                attacker.call(http2.STREAM_PLANS)
                if attacker.next_stream % 512 == 1:
                    attacker.drain()
        assert vehicle.late_of(20) == 0
        # 1024 streams a connection, 64 KiB each.
        assert server.resident_bytes() - before < 4 * 64 * MIB
        for attacker in attackers:
            attacker.close()
        assert vehicle.late_of(20) == 0


def test_a_stream_that_goes_on_for_long_leaves_nothing_behind(tmp_path: Path) -> None:
    count = 3000
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")

        def requests() -> Iterator[planning_service_pb2.StreamPlansRequest]:
            for _ in range(count):
                yield planning_service_pb2.StreamPlansRequest(plan=vehicle.request())

        stream = vehicle.stub.StreamPlans(requests(), timeout=service.PATIENCE_S)
        after_warm_up, answered = 0, 0
        for answered, _ in enumerate(stream, start=1):
            if answered == count // 3:
                after_warm_up = server.resident_bytes()
        assert answered == count
        assert stream.code() == grpc.StatusCode.OK
        assert server.resident_bytes() - after_warm_up < 16 * MIB
        assert vehicle.late_of(20) == 0
