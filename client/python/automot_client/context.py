"""Context snapshots as read-only numpy arrays.

A `ContextSubscription` assembles the stream header, chunks, trailer into `ContextSnapshot`s. A snapshot
that is incomplete or out of order is an error, never a partial result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from automot_client import convert
from automot_client._generated.automot.v1 import (
    context_snapshot_pb2,
    reasoning_service_pb2,
    reasoning_service_pb2_grpc,
)
from automot_client.types import DecisionSlot, SnapshotRef

_MAX_LAYER_BYTES = 1 << 30


class ContextError(RuntimeError):
    """A snapshot came incomplete, out of order or with an impossible size."""


@dataclass(frozen=True)
class ContextSnapshot:
    """One complete snapshot.

    keys, values: per layer `[num_tokens, num_kv_heads, head_dim]`, float32, host, read-only; bfloat16
    payloads come as their raw uint16 bits. Empty when only decisions were subscribed.
    """

    id: SnapshotRef
    capture_time_us: int
    frame_capture_times_us: tuple[int, ...]
    position_start: int
    model_revision: str
    prompt_template: str
    keys: tuple[np.ndarray, ...]
    values: tuple[np.ndarray, ...]
    decision: tuple[DecisionSlot, ...]
    refresh_s: float


class ContextSubscription:
    """Iterates over a session's snapshots. Ends when cancelled, drained or fenced (grpc.RpcError)."""

    def __init__(
        self,
        stub: reasoning_service_pb2_grpc.ReasoningServiceStub,
        request: reasoning_service_pb2.SubscribeContextsRequest,
    ) -> None:
        self.draining = False
        self._stream: Any = stub.SubscribeContexts(request)
        self._payload_expected = (
            request.selection != reasoning_service_pb2.CONTEXT_SELECTION_DECISIONS
        )

    def __iter__(self) -> Iterator[ContextSnapshot]:
        assembly: _Assembly | None = None
        for response in self._stream:
            event = response.WhichOneof("event")
            if event == "header":
                assembly = _Assembly(response.header, self._payload_expected)
            elif event == "chunk":
                if assembly is None:
                    raise ContextError("chunk before a header")
                assembly.add(response.chunk)
            elif event == "trailer":
                if assembly is None:
                    raise ContextError("trailer before a header")
                yield assembly.finish(response.trailer)
                assembly = None
            elif event == "draining":
                self.draining = True

    def cancel(self) -> None:
        """Ends the subscription; safe from any thread."""
        self._stream.cancel()


class _Assembly:
    """Buffers of one snapshot while it arrives."""

    def __init__(self, header: context_snapshot_pb2.SnapshotHeader, payload: bool) -> None:
        self._header = header
        self._payload = payload
        self._buffers: list[list[bytearray]] = []
        self._chunks = 0
        if not payload:
            return
        spec = header.tensor_spec
        self._dtype = np.dtype(
            "<f4" if spec.element_type == context_snapshot_pb2.ELEMENT_TYPE_FLOAT32 else "<u2"
        )
        rows = spec.num_tokens * spec.num_kv_heads * self._dtype.itemsize
        self._sizes = (rows * spec.key_head_dim, rows * spec.value_head_dim)
        if not 0 < max(self._sizes) <= _MAX_LAYER_BYTES or not 0 < spec.num_layers <= 256:
            raise ContextError(f"tensor_spec: {spec.num_layers} layers of {max(self._sizes)} bytes")
        self._buffers = [[bytearray(), bytearray()] for _ in range(spec.num_layers)]

    def add(self, chunk: context_snapshot_pb2.SnapshotChunk) -> None:
        """Takes the next chunk."""
        if chunk.layer >= len(self._buffers):
            raise ContextError(f"chunk.layer: {chunk.layer}, limit {len(self._buffers) - 1}")
        buffer = self._buffers[chunk.layer][int(chunk.values)]
        end = chunk.offset_bytes + len(chunk.data)
        if chunk.offset_bytes != len(buffer) or end > self._sizes[int(chunk.values)]:
            raise ContextError(f"chunk.offset_bytes: {chunk.offset_bytes}, want {len(buffer)}")
        buffer += chunk.data
        self._chunks += 1

    def finish(self, trailer: context_snapshot_pb2.SnapshotTrailer) -> ContextSnapshot:
        """The complete snapshot; ContextError when anything is missing."""
        if trailer.id != self._header.id:
            raise ContextError("trailer.id differs from header.id")
        if self._payload and trailer.chunk_count != self._chunks:
            raise ContextError(
                f"trailer.chunk_count: {trailer.chunk_count}, received {self._chunks}"
            )
        header = self._header
        return ContextSnapshot(
            id=convert.snapshot_ref(header.id),
            capture_time_us=header.capture_time_us,
            frame_capture_times_us=tuple(header.frame_capture_times_us),
            position_start=header.position_start,
            model_revision=header.model_revision,
            prompt_template=header.prompt_template,
            keys=self._arrays(0, header.tensor_spec.key_head_dim),
            values=self._arrays(1, header.tensor_spec.value_head_dim),
            decision=convert.decision_from_proto(trailer.decision),
            refresh_s=trailer.refresh_seconds,
        )

    def _arrays(self, which: int, head_dim: int) -> tuple[np.ndarray, ...]:
        spec = self._header.tensor_spec
        arrays = []
        for layer, buffers in enumerate(self._buffers):
            if len(buffers[which]) != self._sizes[which]:
                raise ContextError(
                    f"layer {layer}: {len(buffers[which])} bytes, want {self._sizes[which]}"
                )
            array = np.frombuffer(bytes(buffers[which]), dtype=self._dtype)
            arrays.append(array.reshape(spec.num_tokens, spec.num_kv_heads, head_dim))
        return tuple(arrays)
