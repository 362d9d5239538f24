"""Typed client of the two services: `PlannerClient` opens sessions, a `Session` plans for one vehicle.

Every call has a deadline, visible in `Deadlines`; nothing is retried behind the caller's back except by
gRPC's own transparent retries of calls that never left the machine, and, with several planning replicas,
the move to the next one (`automot_client.replicas`). Errors are `grpc.RpcError`.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc

from automot_client import context as context_module
from automot_client import convert, wire
from automot_client._generated.automot.v1 import (
    context_snapshot_pb2,
    planning_service_pb2,
    planning_service_pb2_grpc,
    reasoning_service_pb2,
    reasoning_service_pb2_grpc,
)
from automot_client.replicas import Route
from automot_client.session_options import Deadlines, SessionOptions
from automot_client.types import Observation, Plan, Sampling, ServerInfo, SnapshotRef

__all__ = ["Deadlines", "PlanError", "PlanStream", "PlannerClient", "Session", "SessionOptions"]

_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    # After a restart of the server, try again soon rather than after the default two minutes.
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A service that falls silent (no power, no network, frozen) is noticed after both together: calls to
    # it end as UNAVAILABLE. As the C++ client's.
    ("grpc.keepalive_time_ms", 2000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 3000),  # Where gRPC 1.62 and later look.
)

_STREAMED_PLAN = planning_service_pb2.StreamPlansRequest.PLAN_FIELD_NUMBER

# One of several replicas that comes back shall be there for the next attempt of a call, and one that does
# not answer an attempt to connect is passed over: gRPC's own 20 s outlast every call.
_REPLICA_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),  # The time that one attempt to connect may take.
)


_NEVER_READY = (
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
)


class PlannerClient:
    """Connection to a planning service and, where an address is given, to a reasoning service.

    Safe to share between threads. Close it, or use it in a `with` block.
    """

    def __init__(
        self,
        planning_address: str | Sequence[str],
        reasoning_address: str | None = None,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        """Addresses are host:port, unix:PATH or dns:///name:port. Without credentials, plain text.

        Several planning addresses are replicas with one --session-key-file: each session goes to its
        first choice by rendezvous on its name, and on at the next when that one drains or has died.
        """
        wire.keep_freed_memory()
        self.deadlines = deadlines or Deadlines()
        if isinstance(planning_address, str):
            planning_address = [planning_address]
        self._addresses = list(planning_address)
        if not self._addresses:
            raise ValueError("planning_address is empty; at least one is needed")
        options = _REPLICA_OPTIONS if len(self._addresses) > 1 else ()
        self._channels = [_channel(address, credentials, options) for address in self._addresses]
        self._stubs = [_planning_stub(channel) for channel in self._channels]
        self._ready = self._stubs[0]  # The replica that answered last.
        self._reasoning: reasoning_service_pb2_grpc.ReasoningServiceStub | None = None
        if reasoning_address:
            self._channels.append(_channel(reasoning_address, credentials))
            self._reasoning = reasoning_service_pb2_grpc.ReasoningServiceStub(self._channels[-1])

    def __enter__(self) -> PlannerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; calls in flight are cancelled."""
        for channel in self._channels:
            channel.close()

    def wait_ready(self, timeout_s: float) -> None:
        """Waits until the planning service, or one of its replicas, is ready; else TimeoutError.

        grpc.RpcError at once where it never helps to wait: the service lets this client not in.
        """
        request = planning_service_pb2.GetPlanningStatusRequest()
        end = time.monotonic() + timeout_s
        why = "still warming up"
        while (left := end - time.monotonic()) > 0:
            try:
                if self._ready.GetPlanningStatus(
                    request, timeout=left, wait_for_ready=len(self._stubs) == 1
                ).ready:
                    return
            except grpc.RpcError as error:
                if error.code() in _NEVER_READY:
                    raise
                why = f"{error.code().name}: {error.details()}"
            self._ready = self._stubs[(self._stubs.index(self._ready) + 1) % len(self._stubs)]
            time.sleep(min(0.1, left))
        raise TimeoutError(f"planning service not ready within {timeout_s} s: {why}")

    def server_info(self) -> ServerInfo:
        """What the planning service is."""
        status = self._ready.GetPlanningStatus(
            planning_service_pb2.GetPlanningStatusRequest(), timeout=self.deadlines.control_s
        )
        lane = planning_service_pb2.SnapshotLane.Name(status.lane)
        return ServerInfo(
            model_revision=status.model_revision,
            weights_trained=status.weights_trained,
            lane=lane.removeprefix("SNAPSHOT_LANE_").lower(),
            target_point_rule=status.target_point_rule,
            camera_size=(status.camera_width, status.camera_height)
            if status.camera_width and status.camera_height
            else None,
        )

    def open_session(self, name: str, options: SessionOptions, resume_token: str = "") -> Session:
        """Opens a session, or takes one over by its resume token."""
        request = planning_service_pb2.OpenSessionRequest(
            session=name, options=options.to_proto(), resume_token=resume_token
        )
        route = Route(self._stubs, self._addresses, request)
        return Session(route, name, route.open(self.deadlines.control_s), self.deadlines)

    def ask(
        self,
        question: str,
        session: str = "",
        observation: Observation | None = None,
        max_tokens: int = 0,
        stop: Sequence[str] = (),
        sampling: Sampling | None = None,
    ) -> Iterator[str]:
        """Asks about a scene; yields pieces of text as they are generated.

        The answer ends before the first of the `stop` strings. Without `sampling` it is greedy.
        """
        request = reasoning_service_pb2.AskRequest(
            session=session, question=question, max_tokens=max_tokens, stop=stop
        )
        if sampling is not None:
            request.sampling.CopyFrom(
                reasoning_service_pb2.Sampling(**dataclasses.asdict(sampling))
            )
        if observation is not None:
            request.observation.CopyFrom(convert.observation_to_proto(observation))
        for response in self._require_reasoning().Ask(request, timeout=self.deadlines.ask_s):
            if response.text:
                yield response.text

    def subscribe_decisions(self, session: str, episode: int) -> context_module.ContextSubscription:
        """Listens to a session's snapshots without keys and values: identity, decision, refresh time."""
        return context_module.ContextSubscription(
            self._require_reasoning(),
            reasoning_service_pb2.SubscribeContextsRequest(
                session=session,
                episode=episode,
                selection=reasoning_service_pb2.CONTEXT_SELECTION_DECISIONS,
            ),
        )

    def subscribe_contexts(
        self, session: str, episode: int, epoch: int, model_revision: str, reasoning_rate_hz: float
    ) -> context_module.ContextSubscription:
        """Attaches as the owner of a session's producer and receives keys and values.

        `epoch` must be larger than any earlier one of the session: the older owner is fenced.
        """
        return context_module.ContextSubscription(
            self._require_reasoning(),
            reasoning_service_pb2.SubscribeContextsRequest(
                session=session,
                episode=episode,
                epoch=epoch,
                selection=reasoning_service_pb2.CONTEXT_SELECTION_FULL,
                reasoning_rate_hz=reasoning_rate_hz,
                model_revision=model_revision,
            ),
        )

    def _require_reasoning(self) -> reasoning_service_pb2_grpc.ReasoningServiceStub:
        if self._reasoning is None:
            raise ValueError("PlannerClient was made without reasoning_address")
        return self._reasoning


class Session:
    """One vehicle. Made by PlannerClient.open_session. Not safe for use by several threads."""

    def __init__(
        self,
        route: Route,
        name: str,
        opened: planning_service_pb2.OpenSessionResponse,
        deadlines: Deadlines,
    ) -> None:
        self.name = name
        self._route = route
        self._deadlines = deadlines
        self._take(opened)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def plan(
        self,
        observation: Observation,
        *,
        at_least_version: int | None = None,
        exactly: SnapshotRef | None = None,
        deadline_s: float | None = None,
    ) -> Plan:
        """Plans one tick."""
        return convert.plan_from_proto(
            self._call(
                deadline_s or self._deadlines.plan_s,
                lambda stub, left_s: stub.Plan(
                    b"".join(self._plan_request(observation, at_least_version, exactly)),
                    timeout=left_s,
                ),
            )
        )

    def stream(self) -> PlanStream:
        """Opens a stream of plans: less work per tick than single calls. It stays at one replica."""
        return PlanStream(self, self._route.stub)

    def reset(self) -> int:
        """Starts a new episode and returns it; all earlier context is hidden at once.

        `resume_token` is another one afterwards, which stands for the new episode.
        """
        response = self._call(
            self._deadlines.control_s,
            lambda stub, left_s: stub.ResetSession(
                planning_service_pb2.ResetSessionRequest(session=self.name, lease=self._lease),
                timeout=left_s,
            ),
        )
        self.episode = response.episode
        if response.resume_token:
            self.resume_token = response.resume_token
            self._route.renew(response.resume_token)
        return self.episode

    def keep_alive(self) -> float:
        """Renews the lease; wall seconds until it ends."""
        response = self._call(
            self._deadlines.control_s,
            lambda stub, left_s: stub.KeepAlive(
                planning_service_pb2.KeepAliveRequest(session=self.name, lease=self._lease),
                timeout=left_s,
            ),
        )
        return response.remaining_ms / 1e3

    def status(self) -> planning_service_pb2.GetSessionStatusResponse:
        """What the server knows of this session."""
        return self._call(
            self._deadlines.control_s,
            lambda stub, left_s: stub.GetSessionStatus(
                planning_service_pb2.GetSessionStatusRequest(session=self.name), timeout=left_s
            ),
        )

    def close(self) -> None:
        """Ends the session; closing twice is fine."""
        if self._route.adrift:
            return  # No replica has it.
        self._route.stub.CloseSession(
            planning_service_pb2.CloseSessionRequest(session=self.name, lease=self._lease),
            timeout=self._deadlines.control_s,
        )

    @property
    def address(self) -> str:
        """Of the replica that serves the session now."""
        return self._route.address

    def _take(self, opened: planning_service_pb2.OpenSessionResponse) -> None:
        """What a replica says that has opened, taken over or adopted the session."""
        self.resume_token = opened.resume_token
        self.episode = opened.episode
        self.model_revision = opened.model_revision
        self.weights_trained = opened.weights_trained
        self._lease = opened.lease
        self._sequence = 0

    def _call(self, timeout_s: float, attempt: Callable[[Any, float], Any]) -> Any:
        return self._route.call(timeout_s, attempt, self._take)

    def _plan_request(
        self,
        observation: Observation,
        at_least_version: int | None = None,
        exactly: SnapshotRef | None = None,
    ) -> list[wire.Part]:
        self._sequence += 1
        request = planning_service_pb2.PlanRequest(
            session=self.name, lease=self._lease, sequence=self._sequence
        )
        context = None
        if exactly is not None:
            context = planning_service_pb2.ContextChoice(
                exactly=context_snapshot_pb2.SnapshotId(**dataclasses.asdict(exactly))
            )
        elif at_least_version is not None:
            context = planning_service_pb2.ContextChoice(at_least_version=at_least_version)
        return convert.plan_request_to_wire(request, observation, context)


class PlanError(RuntimeError):
    """One tick of a stream failed; the stream goes on. `code` is a gRPC status code number."""

    def __init__(self, code: int, message: str, retry_after_s: float) -> None:
        super().__init__(f"plan failed with status {code}: {message}")
        self.code = code
        self.retry_after_s = retry_after_s


class PlanStream:
    """Plans of one session over one stream, one at a time. Close it, or use it in a `with` block."""

    def __init__(
        self, session: Session, stub: planning_service_pb2_grpc.PlanningServiceStub
    ) -> None:
        self._session = session
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._responses: Any = stub.StreamPlans(iter(self._requests.get, None))
        # A stream has no deadline for one answer: a thread waits for it, and `plan` for the thread.
        self._answers: queue.SimpleQueue[planning_service_pb2.StreamPlansResponse | Exception] = (
            queue.SimpleQueue()
        )
        self._reader = threading.Thread(target=self._read, name="plan-stream", daemon=True)
        self._reader.start()

    def __enter__(self) -> PlanStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def plan(self, observation: Observation, *, deadline_s: float | None = None) -> Plan:
        """Sends one tick and waits for its answer; PlanError when the tick failed or is late.

        grpc.RpcError when the stream has broken: there is no later tick on it.
        """
        request = wire.submessage(_STREAMED_PLAN, self._session._plan_request(observation))
        sequence = self._session._sequence
        self._requests.put(b"".join(request))
        limit_s = deadline_s or self._session._deadlines.plan_s
        end = time.monotonic() + limit_s
        while True:
            response = self._answer(end, limit_s)
            if response.sequence != sequence:
                continue  # An older tick that was superseded, or came too late.
            if response.status.code != 0:
                raise PlanError(
                    response.status.code,
                    response.status.message,
                    response.status.retry_after_ms / 1e3,
                )
            return convert.plan_from_proto(response.plan)

    def close(self) -> None:
        """Ends the stream."""
        self._requests.put(None)
        self._responses.cancel()
        self._reader.join()

    def _answer(self, end: float, limit_s: float) -> planning_service_pb2.StreamPlansResponse:
        try:
            answer = self._answers.get(timeout=max(end - time.monotonic(), 0.0))
        except queue.Empty:
            code = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
            raise PlanError(code, f"no answer within {limit_s} s", 0.0) from None
        if isinstance(answer, Exception):
            self._answers.put(answer)  # The stream has ended for later ticks as well.
            raise answer
        return answer

    def _read(self) -> None:
        try:
            for response in self._responses:
                self._answers.put(response)
        except grpc.RpcError as error:
            self._answers.put(error)
        else:
            code = grpc.StatusCode.UNAVAILABLE.value[0]
            self._answers.put(PlanError(code, "the stream ended", 0.0))


def _planning_stub(channel: grpc.Channel) -> planning_service_pb2_grpc.PlanningServiceStub:
    """Its Plan and StreamPlans take requests that are serialised: a picture is copied once on its way."""
    stub = planning_service_pb2_grpc.PlanningServiceStub(channel)
    service = "/automot.v1.PlanningService/"
    stub.Plan = channel.unary_unary(
        service + "Plan", response_deserializer=planning_service_pb2.PlanResponse.FromString
    )
    stub.StreamPlans = channel.stream_stream(
        service + "StreamPlans",
        response_deserializer=planning_service_pb2.StreamPlansResponse.FromString,
    )
    return stub


def _channel(
    address: str,
    credentials: grpc.ChannelCredentials | None,
    more: tuple[tuple[str, int], ...] = (),
) -> grpc.Channel:
    options = tuple((dict(_CHANNEL_OPTIONS) | dict(more)).items())
    if credentials is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, credentials, options=options)
