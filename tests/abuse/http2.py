"""HTTP/2 by hand, for peers that no library would be: frames as bytes, nothing checked, nothing obeyed."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4
CANCEL = 8
PLAN = "/automot.v1.PlanningService/Plan"
STREAM_PLANS = "/automot.v1.PlanningService/StreamPlans"
STATUS = "/automot.v1.PlanningService/GetSessionStatus"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name: str, value: str) -> bytes:
    """A header field as HPACK has it: literal, never indexed, not compressed; below 127 bytes each."""
    return b"\x10" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def call_fields(path: str) -> bytes:
    """The header block of a gRPC call."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "abuse",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    return b"".join(field(name, value) for name, value in fields.items())


def message(payload: bytes) -> bytes:
    """A gRPC message, uncompressed."""
    return b"\0" + struct.pack(">I", len(payload)) + payload


def readable(connection: socket.socket, wait_ms: int = 0) -> bool:
    """Something, or the end, is there to be read."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(wait_ms))


class Attacker:
    """One connection. Reads only when told to."""

    def __init__(self, port: int, window: int = 65535, source: str = "127.0.0.9") -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=30, source_address=(source, 0)
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next_stream = 1
        settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
        self.alive = True
        self.received: dict[int, int] = {}  # frames by kind
        self._unread = b""
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, ACK, 0))

    def send(self, data: bytes) -> bool:
        """False where the other side has cut the connection."""
        try:
            self.socket.sendall(data)
        except TimeoutError:
            return self.alive  # the other side does not read: that is its right
        except OSError:
            self.alive = False
        return self.alive

    def call(self, path: str, body: bytes = b"", flags: int = 0) -> int:
        """Begins a call; its stream."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        data = frame(HEADERS, END_HEADERS, stream, call_fields(path))
        self.send(data + (frame(DATA, flags, stream, body) if body else b""))
        return stream

    def drain(self) -> None:
        """Reads what is there, and counts it."""
        with contextlib.suppress(OSError):
            while readable(self.socket):
                data = self.socket.recv(1 << 16)
                if not data:
                    self.alive = False
                    break
                self._unread += data
        for kind, _, _, _ in self._frames():
            self.received[kind] = self.received.get(kind, 0) + 1

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        while len(self._unread) >= 9:
            size = int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < 9 + size:
                return
            kind, flags, stream = struct.unpack(">BBI", self._unread[3:9])
            payload, self._unread = self._unread[9 : 9 + size], self._unread[9 + size :]
            yield kind, flags, stream, payload

    def close(self) -> None:
        """Without a word."""
        with contextlib.suppress(OSError):
            self.socket.close()
