"""One tick: packets in, command out. What the agent does between the leaderboard and the services."""

from __future__ import annotations

import dataclasses
import io
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from automot_client.carla_agent.agent_rules import (
    ESCAPE_KEEPS_POINTS,
    ESCAPE_POPS,
    FULL_BRAKE,
    AgentRules,
    Preparation,
)
from automot_client.carla_agent.frame_history import FrameHistory
from automot_client.carla_agent.geo_reference import GeoReference, gnss_to_local
from automot_client.carla_agent.pose_filter import PoseFilter, VehicleState
from automot_client.carla_agent.route_planner import PlanPoint, RoutePlanner
from automot_client.carla_agent.sensor_suite import (
    CAMERA_SIZE,
    SensorError,
    SensorReadings,
    read_sensors,
)
from automot_client.carla_agent.service_link import PlanFailed, SessionLost
from automot_client.carla_agent.settings import AgentSettings
from automot_client.carla_agent.tick_log import TickLog
from automot_client.geometry import Pose
from automot_client.types import CameraFrame, Control, Observation, Plan, ServerInfo

_JPEG_QUALITY = 95
_UNKNOWN = VehicleState(Pose(math.nan, math.nan, math.nan), math.nan)
_WARM_UP = "WARM_UP"


class GaveUp(RuntimeError):
    """Too many ticks in a row had no plan; the message has the last reason."""


class PlanningLink(Protocol):
    """What plans for the vehicle; see ServiceLink."""

    fresh: bool
    sessions_opened: int

    @property
    def info(self) -> ServerInfo:
        """What the server is."""

    def plan(self, observation: Observation) -> Plan:
        """One plan; PlanFailed says why there is none."""


@dataclass(frozen=True)
class Tick:
    """What came of a tick. `stop` says why it was not driven by a plan, empty where it was.

    plan_s: wall seconds from sending the observation to the answer.
    """

    control: Control
    stop: str
    plan: Plan | None = None
    plan_s: float = 0.0


class CarlaDriver:
    """Drives one vehicle on one route. Not thread-safe. Closes nothing that it was given."""

    def __init__(
        self,
        settings: AgentSettings,
        link: PlanningLink,
        log: TickLog,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.camera_size = link.info.camera_size or CAMERA_SIZE
        self._settings = settings
        self._link = link
        self._log = log
        self._clock = clock
        self._frames = FrameHistory()
        self._filter = PoseFilter()
        self._rules = AgentRules() if settings.rules == "published" else None
        self._route = RoutePlanner([])
        self._reference: GeoReference | None = None
        self._route_revision = 0
        self._routed: tuple[int, bool] = (0, False)  # Points left, and whether the rules aim.
        self._applied = FULL_BRAKE
        self._failed_in_row = 0

    def set_plan(self, points: list[PlanPoint], reference: GeoReference) -> None:
        """The route to drive; a later one replaces it."""
        self._route = RoutePlanner(points)
        self._reference = reference
        self._route_revision += 1
        self._routed = (self._route.remaining, False)

    def step(self, input_data: Mapping[str, tuple[int, Any]], timestamp_s: float) -> Tick:
        """The command for one tick of 0.05 s; a tick that cannot be planned stops the vehicle.

        Raises GaveUp after `give_up_after_ticks` ticks in a row without a plan.
        """
        time_us = round(timestamp_s * 1e6)
        try:
            tick = self._drive(time_us, read_sensors(input_data, self.camera_size))
        except SensorError as error:
            self._filter.step(_UNKNOWN, self._applied)  # The vehicle moved on all the same.
            tick = self._stopped(f"BAD_SENSOR: {error}")
        except PlanFailed as error:
            tick = self._stopped(str(error))
        self._log.add(self._record(time_us, tick), tick.plan, tick.stop, tick.plan_s)
        self._applied = tick.control
        self._count_failures(tick.stop)
        return tick

    def _drive(self, time_us: int, readings: SensorReadings) -> Tick:
        self._frames.add(CameraFrame(time_us, *self._encoded(readings.camera_rgb)))
        pose = self._filter.step(self._measured(readings), self._applied).pose
        if not self._filter.started:
            return self._stopped("NO_POSE: no finite position, heading and speed yet")
        targets = self._route.step(pose)
        prepared = Preparation()
        if self._rules is not None:
            prepared = self._rules.before_plan(pose, readings.speed_mps)
        if prepared.warming_up:
            return Tick(FULL_BRAKE, _WARM_UP)
        if prepared.pop_route:
            self._route.pop(ESCAPE_POPS, ESCAPE_KEEPS_POINTS)
        if prepared.target_override is not None:
            targets = prepared.target_override
        self._revise_route(prepared.target_override is not None)
        sent = self._clock()
        try:
            plan = self._plan(time_us, readings, pose, targets)
        except SessionLost:  # The simulation stands: the tick need not be lost with the session.
            plan = self._plan(time_us, readings, pose, targets)
        plan_s = self._clock() - sent
        if plan.control is None:
            raise PlanFailed("NO_CONTROL: the answer has no command")
        control = plan.control
        if self._rules is not None:
            control = self._rules.after_plan(control)
        return Tick(control, "", plan, plan_s)

    def _plan(
        self, time_us: int, readings: SensorReadings, pose: Pose, targets: np.ndarray
    ) -> Plan:
        if self._link.fresh:
            self._frames.begin_session()
        observation = self._observation(time_us, readings, pose, targets)
        plan = self._link.plan(observation)
        self._frames.given(observation.camera_frames)
        return plan

    def _observation(
        self, time_us: int, readings: SensorReadings, pose: Pose, targets: np.ndarray
    ) -> Observation:
        return Observation(
            capture_time_us=time_us,
            speed_mps=readings.speed_mps,
            target_points=targets,
            route_revision=self._route_revision,
            pose=pose,
            yaw_rate_radps=readings.yaw_rate_radps,
            camera_frames=self._frames.due(),
            lidar_points=readings.lidar_points,
            lidar_capture_time_us=time_us,
            lidar_half_sweep=True,
        )

    def _measured(self, readings: SensorReadings) -> VehicleState:
        if self._reference is None:
            return _UNKNOWN
        x, y = gnss_to_local(readings.latitude_deg, readings.longitude_deg, self._reference)
        return VehicleState(Pose(x, y, readings.yaw), readings.speed_mps)

    def _encoded(self, rgb: np.ndarray) -> tuple[bytes, tuple[int, int] | None]:
        if self._settings.camera_encoding == "raw":
            return rgb.tobytes(), (rgb.shape[1], rgb.shape[0])
        from PIL import Image

        out = io.BytesIO()
        Image.fromarray(rgb).save(out, "JPEG", quality=_JPEG_QUALITY)
        return out.getvalue(), None

    def _revise_route(self, overridden: bool) -> None:
        """The revision rises when the target points become others."""
        routed = (self._route.remaining, overridden)
        if routed != self._routed:
            self._route_revision += 1
            self._routed = routed

    def _stopped(self, reason: str) -> Tick:
        """Brakes fully with the wheels where they were: a car that brakes in a bend stays in it."""
        return Tick(dataclasses.replace(FULL_BRAKE, steer=self._applied.steer), reason)

    def _count_failures(self, stop: str) -> None:
        failed = stop not in ("", _WARM_UP)
        self._failed_in_row = self._failed_in_row + 1 if failed else 0
        limit = self._settings.give_up_after_ticks
        if limit and self._failed_in_row >= limit:
            raise GaveUp(f"{limit} ticks in a row without a plan; the last one: {stop}")

    def _record(self, time_us: int, tick: Tick) -> dict[str, Any]:
        state = self._filter.state
        return {
            "time_us": time_us,
            "pose": [round(v, 4) for v in (state.pose.x, state.pose.y, state.pose.yaw)],
            "speed_mps": round(state.speed_mps, 3),
            "route_points_left": self._route.remaining,
            "control": dataclasses.asdict(tick.control),
            "stop": tick.stop,
            "sessions_opened": self._link.sessions_opened,
        }
