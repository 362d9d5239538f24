"""Generated messages to plain values and back. The only place that names message fields of a plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from automot_client import wire
from automot_client._generated.automot.v1 import (
    context_snapshot_pb2,
    decision_pb2,
    geometry_pb2,
    observation_pb2,
    planning_service_pb2,
    trajectory_pb2,
)
from automot_client.types import CameraFrame, Control, DecisionSlot, Observation, Plan, SnapshotRef

_US = 1e-6
_CameraImage = observation_pb2.CameraImage
_Observation = observation_pb2.Observation
_PlanRequest = planning_service_pb2.PlanRequest


def observation_to_proto(observation: Observation) -> observation_pb2.Observation:
    """The message of an observation."""
    return observation_pb2.Observation.FromString(b"".join(observation_to_wire(observation)))


def observation_to_wire(observation: Observation) -> list[wire.Part]:
    """A serialised Observation, its fields in order; pictures and arrays are lent to it."""
    first = observation_pb2.Observation(capture_time_us=observation.capture_time_us)
    parts: list[wire.Part] = [first.SerializeToString()]
    for frame in observation.camera_frames:
        parts += wire.submessage(_Observation.CAMERA_IMAGES_FIELD_NUMBER, _picture(frame))
    parts += _lidar(observation)
    if observation.bev_feature is not None:
        parts += wire.submessage(
            _Observation.BEV_FEATURE_FIELD_NUMBER, _bev_feature(observation.bev_feature)
        )
    return [*parts, _ego_and_route(observation).SerializeToString()]


def plan_request_to_wire(
    request: planning_service_pb2.PlanRequest,
    observation: Observation,
    context: planning_service_pb2.ContextChoice | None,
) -> list[wire.Part]:
    """The serialised `request`, which has neither yet, with its observation and context."""
    parts: list[wire.Part] = [
        request.SerializeToString(),
        *wire.submessage(_PlanRequest.OBSERVATION_FIELD_NUMBER, observation_to_wire(observation)),
    ]
    if context is not None:
        parts.append(planning_service_pb2.PlanRequest(context=context).SerializeToString())
    return parts


def _picture(frame: CameraFrame) -> list[wire.Part]:
    head = _CameraImage(capture_time_us=frame.capture_time_us)
    tail = _CameraImage()
    if frame.raw_size is not None:
        head.encoding = observation_pb2.IMAGE_ENCODING_RAW_RGB
        tail.width, tail.height = frame.raw_size
    return [
        head.SerializeToString(),
        *wire.data(_CameraImage.DATA_FIELD_NUMBER, frame.data),
        tail.SerializeToString(),
    ]


def _bev_feature(feature: np.ndarray) -> list[wire.Part]:
    values = np.ascontiguousarray(feature, dtype="<f4")
    if values.ndim != 3 or values.shape[1:] != (8, 8):
        raise ValueError(f"bev_feature: shape {values.shape}, want [channels, 8, 8]")
    return [
        *wire.data(observation_pb2.BevFeature.VALUES_FIELD_NUMBER, wire.view(values)),
        observation_pb2.BevFeature(channels=values.shape[0]).SerializeToString(),
    ]


def _ego_and_route(observation: Observation) -> observation_pb2.Observation:
    message = observation_pb2.Observation()
    ego = message.ego_state
    ego.speed_mps = observation.speed_mps
    if observation.pose is not None:
        ego.pose.position.x, ego.pose.position.y = observation.pose.x, observation.pose.y
        ego.pose.yaw_rad = observation.pose.yaw
    if observation.yaw_rate_radps is not None:
        ego.yaw_rate_radps = observation.yaw_rate_radps
    target = message.route_target
    target.route_revision = observation.route_revision
    for point, values in zip(
        (target.current_target_point, target.next_target_point), observation.target_points
    ):
        point.x, point.y = float(values[0]), float(values[1])
    return message


def _lidar(observation: Observation) -> list[wire.Part]:
    measurement = _lidar_measurement(observation)
    if not measurement:
        return []
    time = observation_pb2.Lidar(capture_time_us=observation.lidar_capture_time_us)
    half = observation_pb2.Lidar(half_sweep=observation.lidar_half_sweep)
    return wire.submessage(
        _Observation.LIDAR_FIELD_NUMBER,
        [time.SerializeToString(), *measurement, half.SerializeToString()],
    )


def _lidar_measurement(observation: Observation) -> list[wire.Part]:
    if observation.lidar_points is not None and observation.lidar_histogram is not None:
        raise ValueError("lidar_points and lidar_histogram: give one of them")
    if observation.lidar_points is not None:
        points = np.ascontiguousarray(observation.lidar_points, dtype="<f4")
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"lidar_points: shape {points.shape}, want [points, 3]")
        # An empty sweep is "saw nothing", not "no LiDAR": the field is there without content.
        xyz = wire.data(observation_pb2.LidarPoints.XYZ_FIELD_NUMBER, wire.view(points))
        return wire.submessage(observation_pb2.Lidar.POINTS_FIELD_NUMBER, xyz)
    if observation.lidar_histogram is not None:
        counts = np.ascontiguousarray(observation.lidar_histogram, dtype=np.uint8)
        if counts.shape != (256, 256):
            raise ValueError(f"lidar_histogram: shape {counts.shape}, want [256, 256]")
        content = wire.data(observation_pb2.LidarHistogram.COUNTS_FIELD_NUMBER, wire.view(counts))
        return wire.submessage(observation_pb2.Lidar.HISTOGRAM_FIELD_NUMBER, content)
    return []


def snapshot_ref(message: context_snapshot_pb2.SnapshotId) -> SnapshotRef:
    """Identity of a snapshot."""
    return SnapshotRef(message.session, message.episode, message.epoch, message.version)


def decision_from_proto(message: decision_pb2.Decision) -> tuple[DecisionSlot, ...]:
    """Slots of a decision; empty where the decision is absent."""
    return tuple(
        DecisionSlot(
            time_us=slot.time_us,
            action=_word(
                decision_pb2.LongitudinalAction, slot.longitudinal, "LONGITUDINAL_ACTION_"
            ),
            text=slot.text,
            probability=slot.probability,
        )
        for slot in message.slots
    )


def plan_from_proto(message: planning_service_pb2.PlanResponse) -> Plan:
    """The plain form of an answer."""
    provenance = message.provenance
    ages = provenance.ages
    travel = provenance.context_travel
    return Plan(
        session=message.session,
        sequence=message.sequence,
        episode=message.episode,
        capture_time_us=message.capture_time_us,
        route=_points(message.trajectory.route),
        waypoints=_points(waypoint.position for waypoint in message.trajectory.waypoints),
        waypoint_times_s=np.array([w.time_offset_us * _US for w in message.trajectory.waypoints]),
        control=_control(message),
        decision=decision_from_proto(message.decision),
        context_decision=decision_from_proto(message.context_decision),
        decision_agreement=_word(
            decision_pb2.DecisionAgreement, message.decision_agreement, "DECISION_AGREEMENT_"
        ),
        decision_consistency=_word(
            decision_pb2.DecisionConsistency, message.decision_consistency, "DECISION_CONSISTENCY_"
        ),
        snapshot=snapshot_ref(provenance.snapshot),
        model_revision=provenance.model_revision,
        reasons=frozenset(
            _word(trajectory_pb2.Reason, reason, "REASON_") for reason in provenance.reasons
        ),
        staleness_s=_seconds(ages, "context_us"),
        camera_age_s=_seconds(ages, "camera_us"),
        lidar_age_s=_seconds(ages, "lidar_us"),
        version_gap=ages.version_gap if ages.HasField("version_gap") else None,
        context_travel_m=travel.distance_m if travel.HasField("distance_m") else None,
        context_yaw_change_rad=travel.yaw_change_rad if travel.HasField("yaw_change_rad") else None,
        stage_seconds={
            field.name.removesuffix("_s"): value for field, value in provenance.timing.ListFields()
        },
    )


def _control(message: planning_service_pb2.PlanResponse) -> Control | None:
    if not message.HasField("control"):
        return None
    return Control(message.control.steer, message.control.throttle, message.control.brake)


def _points(points: Iterable[geometry_pb2.Vec2]) -> np.ndarray:
    return np.array([(point.x, point.y) for point in points], dtype=np.float64).reshape(-1, 2)


def _seconds(ages: planning_service_pb2.PlanAges, field: str) -> float | None:
    return getattr(ages, field) * _US if ages.HasField(field) else None


def _word(enum: Any, value: int, prefix: str) -> str:
    """Name of an enum value without its prefix; a value newer than the stubs is shown by its number."""
    try:
        return str(enum.Name(value)).removeprefix(prefix)
    except ValueError:
        return f"UNKNOWN_{value}"
