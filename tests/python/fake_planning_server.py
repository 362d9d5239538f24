"""Both services in process on a free port, with scripted answers, to test the client's own code."""

from __future__ import annotations

import threading
from concurrent import futures

import grpc
import numpy as np

from automot_client._generated.automot.v1 import (
    context_snapshot_pb2,
    decision_pb2,
    planning_service_pb2,
    planning_service_pb2_grpc,
    reasoning_service_pb2,
    reasoning_service_pb2_grpc,
    trajectory_pb2,
)

LAYERS, TOKENS, HEADS, KEY_DIM, VALUE_DIM = 2, 5, 1, 8, 4


class FakePlanning(planning_service_pb2_grpc.PlanningServiceServicer):
    """Answers every plan with a straight trajectory; keeps the requests."""

    def __init__(self) -> None:
        self.plans: list[planning_service_pb2.PlanRequest] = []
        self.opened: planning_service_pb2.OpenSessionRequest | None = None
        self.closed: list[int] = []
        self.episode = 1
        self.not_ready_answers = 0
        self.status_failures: list[grpc.StatusCode] = []  # Of the next status calls, in turn.
        self.plan_failures: list[grpc.StatusCode] = []  # Of the next plans, in turn.
        self.with_control = True
        self.answering = threading.Event()  # Plans hang while it is cleared.
        self.answering.set()

    def GetPlanningStatus(self, request, context):
        if self.status_failures:
            context.abort(self.status_failures.pop(0), "scripted")
        self.not_ready_answers -= 1
        return planning_service_pb2.GetPlanningStatusResponse(
            model_revision="cd" * 16,
            ready=self.not_ready_answers < 0,
            lane=planning_service_pb2.SNAPSHOT_LANE_SHARED_MEMORY,
            target_point_rule="route_distance:8,20",
            camera_width=1024,
            camera_height=512,
        )

    def OpenSession(self, request, context):
        self.opened = request
        return planning_service_pb2.OpenSessionResponse(
            resume_token="token", lease=77, episode=self.episode, model_revision="cd" * 16
        )

    def ResetSession(self, request, context):
        self.episode += 1
        return planning_service_pb2.ResetSessionResponse(
            episode=self.episode, resume_token=f"token of {self.episode}"
        )

    def CloseSession(self, request, context):
        self.closed.append(request.lease)
        return planning_service_pb2.CloseSessionResponse()

    def KeepAlive(self, request, context):
        return planning_service_pb2.KeepAliveResponse(remaining_ms=1500)

    def Plan(self, request, context):
        self.answering.wait()
        if self.plan_failures:
            context.abort(self.plan_failures.pop(0), "scripted")
        if request.observation.ego_state.speed_mps > 50:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "speed_mps: 60, limit 50")
        return self.answer(request)

    def StreamPlans(self, requests, context):
        for request in requests:
            self.answering.wait()
            speed = request.plan.observation.ego_state.speed_mps
            response = planning_service_pb2.StreamPlansResponse(sequence=request.plan.sequence)
            if speed > 50:
                response.status.code = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
                response.status.message = "queue: 8, limit 8"
                response.status.retry_after_ms = 250
            else:
                response.plan.CopyFrom(self.answer(request.plan))
            yield response

    def answer(self, request):
        self.plans.append(request)
        response = planning_service_pb2.PlanResponse(
            session=request.session,
            sequence=request.sequence,
            episode=self.episode,
            capture_time_us=request.observation.capture_time_us,
        )
        for i in range(20):
            response.trajectory.route.add(x=i + 1.0, y=0.25)
        for i in range(6):
            point = response.trajectory.waypoints.add(time_offset_us=500_000 * (i + 1))
            point.position.x = 2.0 * (i + 1)
        response.decision.slots.add(
            time_us=5,
            longitudinal=decision_pb2.LONGITUDINAL_ACTION_SLOW,
            text="slow",
            probability=0.5,
        )
        response.decision_agreement = decision_pb2.DECISION_AGREEMENT_NOT_COMPARABLE
        if self.with_control:
            response.control.steer = 0.125
        response.provenance.snapshot.version = 3
        response.provenance.ages.context_us = 250_000
        response.provenance.reasons.extend(
            [trajectory_pb2.REASON_STALE, trajectory_pb2.REASON_NO_LIDAR]
        )
        response.provenance.timing.bev_encoder_s = 0.004
        return response


class FakeReasoning(reasoning_service_pb2_grpc.ReasoningServiceServicer):
    """Streams one snapshot; `drop_chunk` leaves its last chunk out."""

    def __init__(self) -> None:
        self.drop_chunk = False
        self.asked: reasoning_service_pb2.AskRequest | None = None

    def SubscribeContexts(self, request, context):
        response = reasoning_service_pb2.SubscribeContextsResponse
        yield response(attached=reasoning_service_pb2.Attached(epoch=request.epoch))
        identity = context_snapshot_pb2.SnapshotId(
            session=request.session, episode=1, epoch=9, version=1
        )
        spec = context_snapshot_pb2.TensorSpec(
            element_type=context_snapshot_pb2.ELEMENT_TYPE_FLOAT32,
            num_layers=LAYERS,
            num_tokens=TOKENS,
            num_kv_heads=HEADS,
            key_head_dim=KEY_DIM,
            value_head_dim=VALUE_DIM,
        )
        header = context_snapshot_pb2.SnapshotHeader(
            id=identity, capture_time_us=42, tensor_spec=spec
        )
        yield response(header=header)
        chunks = list(snapshot_chunks())
        full = request.selection != reasoning_service_pb2.CONTEXT_SELECTION_DECISIONS
        if full:
            for chunk in chunks[: -1 if self.drop_chunk else None]:
                yield response(chunk=chunk)
        trailer = context_snapshot_pb2.SnapshotTrailer(
            id=identity, chunk_count=len(chunks), refresh_seconds=0.125
        )
        trailer.decision.slots.add(longitudinal=decision_pb2.LONGITUDINAL_ACTION_STOP, text="stop")
        yield response(trailer=trailer)

    def Ask(self, request, context):
        self.asked = request
        for word in ("a ", "clear ", "road"):
            yield reasoning_service_pb2.AskResponse(text=word)
        yield reasoning_service_pb2.AskResponse(done=True, complete=True)


def snapshot_chunks():
    """Keys are layer + 0.5, values layer + 100; each in two chunks."""
    for layer in range(LAYERS):
        for values, dim, number in (
            (False, KEY_DIM, layer + 0.5),
            (True, VALUE_DIM, layer + 100.0),
        ):
            data = np.full((TOKENS, HEADS, dim), number, dtype="<f4").tobytes()
            half = len(data) // 2
            for offset in (0, half):
                end = half if offset == 0 else len(data)
                yield context_snapshot_pb2.SnapshotChunk(
                    layer=layer, values=values, offset_bytes=offset, data=data[offset:end]
                )


class FakeServer:
    """Owns the gRPC server; `address` is where both services listen."""

    def __init__(self) -> None:
        self.planning, self.reasoning = FakePlanning(), FakeReasoning()
        limit = [("grpc.max_receive_message_length", 64 << 20)]  # As the services': raw pictures.
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=limit)
        planning_service_pb2_grpc.add_PlanningServiceServicer_to_server(self.planning, self._server)
        reasoning_service_pb2_grpc.add_ReasoningServiceServicer_to_server(
            self.reasoning, self._server
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self.planning.answering.set()
        self._server.stop(None).wait()
