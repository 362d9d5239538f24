"""Messages that are too large, pretend to be, or never end: refused, and memory stays where it was."""

from __future__ import annotations

import struct
from pathlib import Path

import grpc
import pytest

import http2
import service
from automot_client._generated.automot.v1 import observation_pb2
from service import MIB

CORPUS = Path(__file__).resolve().parents[1] / "fuzz/corpus/image"
ENCODINGS = {
    ".png": observation_pb2.IMAGE_ENCODING_PNG,
    ".jpg": observation_pb2.IMAGE_ENCODING_JPEG,
}


def test_a_message_above_the_limit_is_refused_and_the_vehicle_goes_on(tmp_path: Path) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        request = vehicle.request()
        request.observation.camera_images[0].data = bytes(81 * MIB)
        with pytest.raises(grpc.RpcError) as refused:
            vehicle.stub.Plan(request, timeout=service.PATIENCE_S)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert vehicle.late_of(20) == 0


def test_announced_sizes_reserve_nothing(tmp_path: Path) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        assert vehicle.late_of(20) == 0
        before = server.resident_bytes()
        attackers = [http2.Attacker(server.port) for _ in range(20)]
        for attacker in attackers:
            for size in (79 * MIB, 2**31 - 1, 2**32 - 1):
                attacker.call(http2.PLAN, b"\0" + struct.pack(">I", size))
        assert vehicle.late_of(20) == 0
        assert server.resident_bytes() - before < 32 * MIB


@pytest.mark.parametrize("name", ["huge_size.png", "huge_size.jpg", "text_chunk_of_1_6_GB.png"])
def test_pictures_that_unfold_are_refused_unfolded(tmp_path: Path, name: str) -> None:
    with service.running(tmp_path, *service.CAMERA_FLAGS) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        assert vehicle.late_of(5) == 0
        before = server.resident_bytes()
        for _ in range(20):
            request = vehicle.request()
            image = request.observation.camera_images[0]
            image.data = (CORPUS / name).read_bytes()
            image.encoding = ENCODINGS[Path(name).suffix]
            image.ClearField("width")
            image.ClearField("height")
            with pytest.raises(grpc.RpcError) as refused:
                vehicle.stub.Plan(request, timeout=service.PATIENCE_S)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert server.resident_bytes() - before < 64 * MIB
        assert vehicle.late_of(20) == 0


def test_slow_writers_hold_no_more_than_the_transport_memory(tmp_path: Path) -> None:
    """100 connections begin 60 MiB each and send what they are let send: 6 GB if nothing bounded it."""
    flags = (*service.CAMERA_FLAGS, "--transport-memory-mib", "64")
    with service.running(tmp_path, *flags) as server:
        vehicle = service.Vehicle(server.stub(), "car")
        assert vehicle.late_of(20) == 0
        before = server.resident_bytes()
        writers = []
        for _ in range(100):
            writer = http2.Attacker(server.port)
            writer.socket.settimeout(0.05)  # a writer that is not let write goes on to the next
            writers.append((writer, writer.call(http2.PLAN, b"\0" + struct.pack(">I", 60 * MIB))))
        highest = before
        for _ in range(30):
            for writer, stream in writers:
                if writer.alive:
                    writer.send(http2.frame(http2.DATA, 0, stream, bytes(16384)) * 4)
                    writer.drain()
            highest = max(highest, server.resident_bytes())
        # Its share, twice: gRPC counts a message's slices, and the allocator rounds them up.
        assert highest - before < 2 * 64 * MIB
        for writer, _ in writers:
            writer.close()
        service.eventually(lambda: server.open_files() < 40, "connections are closed")
        assert service.Vehicle(server.stub(), "other").late_of(20) == 0
