"""Plain values that cross the client: no generated code, no simulator.

Frames: ego is x forward, y to the RIGHT, z up, metres, at the observation's capture; local is fixed by
the client for an episode and has the same handedness. Times are microseconds of session time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from automot_client.geometry import Pose


@dataclass(frozen=True)
class Control:
    """Pedals and wheel. Steer -1 (left) to 1 (right), throttle and brake 0 to 1."""

    steer: float
    throttle: float
    brake: float


@dataclass(frozen=True)
class Sampling:
    """How the tokens of an answer are drawn; the fields apply in this order.

    temperature 0: the likeliest token, whatever the rest says. top_k 0 and top_p 1: all tokens.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class CameraFrame:
    """One front-camera picture: JPEG or PNG bytes, or raw RGB rows where `raw_size` is set.

    data: bytes, or a view of bytes (`memoryview(pixels).cast("B")`), which is copied when it is sent.
    raw_size: width and height in pixels of raw pixels `[height, width, 3]` uint8, RGB, without padding.
    """

    capture_time_us: int
    data: bytes | memoryview
    raw_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Observation:
    """What a vehicle saw at one capture time.

    lidar_points: `[points, 3]` float32, ego frame, metres, or None when there is no LiDAR.
    lidar_half_sweep: the points are half a rotation; the server adds the previous half by the poses.
    lidar_histogram: `[256, 256]` uint8 counts of a whole sweep, rows y and columns x, in place of points.
    bev_feature: `[channels, 8, 8]` float32, in place of camera and LiDAR for the action expert.
    target_points: `[2, 2]` float64, ego frame, metres: current and next.
    """

    capture_time_us: int
    speed_mps: float
    target_points: np.ndarray
    route_revision: int
    pose: Pose | None = None
    yaw_rate_radps: float | None = None
    camera_frames: tuple[CameraFrame, ...] = ()
    lidar_points: np.ndarray | None = None
    lidar_capture_time_us: int | None = None
    lidar_half_sweep: bool = False
    lidar_histogram: np.ndarray | None = None
    bev_feature: np.ndarray | None = None


@dataclass(frozen=True)
class SnapshotRef:
    """Identity of a context snapshot; version 0 means that none was used."""

    session: str
    episode: int
    epoch: int
    version: int


@dataclass(frozen=True)
class DecisionSlot:
    """One meta-action: its session time, its text as decoded, its probability."""

    time_us: int
    action: str
    text: str
    probability: float


@dataclass(frozen=True)
class Plan:
    """A trajectory with its provenance.

    route: `[20, 2]` and waypoints: `[6, 2]`, float64, ego frame of the observation's capture, metres.
    waypoint_times_s: `[6]` seconds after the capture.
    """

    session: str
    sequence: int
    episode: int
    capture_time_us: int
    route: np.ndarray
    waypoints: np.ndarray
    waypoint_times_s: np.ndarray
    control: Control | None
    decision: tuple[DecisionSlot, ...]
    context_decision: tuple[DecisionSlot, ...]
    decision_agreement: str
    decision_consistency: str
    snapshot: SnapshotRef
    model_revision: str
    reasons: frozenset[str]
    staleness_s: float | None
    camera_age_s: float | None = None
    lidar_age_s: float | None = None
    version_gap: int | None = None
    context_travel_m: float | None = None
    context_yaw_change_rad: float | None = None
    stage_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ServerInfo:
    """What a session's server is: revision of its model, trained or not, lane of the snapshot path.

    camera_size: width and height in pixels of the pictures that it accepts; None where not declared.
    """

    model_revision: str
    weights_trained: bool
    lane: str
    target_point_rule: str = ""
    camera_size: tuple[int, int] | None = None
