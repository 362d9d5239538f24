"""Arrow Flight, one end of it, for automot-bench-context: speaks one line of JSON per request.

"server" greets with {"address": ...}. "client ADDRESS" answers {"snapshots": N, "ahead": M,
"snapshot_bytes": B, "piece_bytes": P} with wall_s, bytes and visible_ms. Both answer {} with cpu_s.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.flight as flight

SCHEMA = pa.schema([("layer", pa.uint8())])
TIME = struct.Struct("<q")


def batches(memory: bytearray, piece_bytes: int) -> list[pa.RecordBatch]:
    """The snapshot cut into record batches that share its memory."""
    cut = []
    for at in range(0, len(memory), piece_bytes):
        size = min(piece_bytes, len(memory) - at)
        buffer = pa.py_buffer(memory).slice(at, size)
        column = pa.Array.from_buffers(pa.uint8(), size, [None, buffer])
        cut.append(pa.RecordBatch.from_arrays([column], schema=SCHEMA))
    return cut


class Server(flight.FlightServerBase):
    """Sends a snapshot as often as the ticket says."""

    def __init__(self) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._memory = bytearray()
        self._cut: dict[int, list[pa.RecordBatch]] = {}

    def do_get(self, _context: object, ticket: flight.Ticket) -> flight.RecordBatchStream:
        """One call, one series of snapshots; the last bytes say when it began."""
        wanted = json.loads(ticket.ticket)
        if len(self._memory) != wanted["snapshot_bytes"]:
            self._memory = bytearray(os.urandom(wanted["snapshot_bytes"]))
            self._cut = {}
        piece_bytes = wanted["piece_bytes"]
        cut = self._cut.setdefault(piece_bytes, batches(self._memory, piece_bytes))
        self._memory[-TIME.size :] = TIME.pack(time.monotonic_ns())
        reader = pa.RecordBatchReader.from_batches(SCHEMA, cut * wanted["snapshots"])
        return flight.RecordBatchStream(reader)


class Client:
    """Reads what the server sends, batch by batch, as Flight hands it over."""

    def __init__(self, address: str) -> None:
        self._client = flight.connect(address)

    def fetch(self, request: dict, snapshots: int) -> tuple[int, float]:
        """Bytes received, and milliseconds since the time in the last of them."""
        ticket = flight.Ticket(json.dumps({**request, "snapshots": snapshots}))
        received, last = 0, None
        for chunk in self._client.do_get(ticket):
            last = chunk.data.column(0).buffers()[1]
            received += chunk.data.nbytes
        done = time.monotonic_ns()
        began = TIME.unpack(last.slice(last.size - TIME.size).to_pybytes())[0]
        return received, (done - began) / 1e6

    def answer(self, request: dict) -> dict:
        """One call for a stream of snapshots, or one call for each of them."""
        if "snapshots" not in request:
            return {}
        snapshots, ahead = request["snapshots"], request["ahead"]
        per_call = 1 if ahead == 1 else snapshots
        begin = time.monotonic_ns()
        calls = [self.fetch(request, per_call) for _ in range(snapshots // per_call)]
        wall_s = (time.monotonic_ns() - begin) / 1e9
        return {
            "wall_s": wall_s,
            "bytes": sum(received for received, _ in calls),
            "visible_ms": [visible for _, visible in calls],
        }


def answer_parent(greeting: dict, answer: Callable[[dict], dict]) -> None:
    """The protocol of tests/benchmark/comparison/child_process.h."""
    print(json.dumps(greeting), flush=True)
    for line in sys.stdin:
        result = answer(json.loads(line))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({**result, "cpu_s": usage.ru_utime + usage.ru_stime}), flush=True)


def main() -> None:
    """Plays the role that the command line names."""
    if sys.argv[1] == "server":
        with Server() as server:
            answer_parent({"address": f"grpc://127.0.0.1:{server.port}"}, lambda _: {})
    else:
        answer_parent({}, Client(sys.argv[2]).answer)


if __name__ == "__main__":
    main()
