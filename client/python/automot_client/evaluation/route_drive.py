"""Drives one route to its end and counts. The simulator is imported when a route is driven."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from typing import Any

import numpy as np

from automot_client.bridge.projection import CameraModel
from automot_client.bridge.world import TICK_S, EpisodeEnd, World, WorldState
from automot_client.driving.planner_port import PlanFailed, PlannerPort, ServicePlanner
from automot_client.driving.recording import tick_record
from automot_client.driving.sensing import Sensors, observe
from automot_client.evaluation import plan_times
from automot_client.evaluation.comfort import comfort
from automot_client.evaluation.local_drivers import LOCAL_DRIVERS
from automot_client.evaluation.route_job import RouteJob
from automot_client.evaluation.route_record import RouteRecord
from automot_client.evaluation.scoring import RouteResult, infractions_of
from automot_client.evaluation.sensing_modes import SensorFilter
from automot_client.types import Control, Observation, Plan

_HOLD_CONTROL_TICKS = 10
_MOST_FAILURES_IN_ROW = 40
_PLAN_DEADLINE_S = 120.0
_FULL_BRAKE = Control(steer=0.0, throttle=0.0, brake=1.0)
_NO_SWEEP = np.zeros((0, 3), np.float32)


def drive_route(job: RouteJob) -> RouteResult:
    """Drives a route, writes its page, returns its result. PlanFailed where no plan came for 2 s."""
    began = time.monotonic()
    world = World(job.settings.world(job.seed))
    try:
        planner = connect(job, world)
        try:
            return RouteDrive(job, world, planner, began).run()
        finally:
            planner.close()
    finally:
        world.close()


def connect(job: RouteJob, world: World) -> PlannerPort:
    """The driver of a job."""
    if job.settings.driver != "service":
        return LOCAL_DRIVERS[job.settings.driver](world)
    name = f"eval-{job.seed}-{uuid.uuid4().hex[:8]}"
    return ServicePlanner(job.service, None, name, job.settings.session(), _PLAN_DEADLINE_S)


class RouteDrive:
    """The loop over one route's ticks. Not safe for use by several threads."""

    def __init__(
        self, job: RouteJob, world: World, planner: PlannerPort, began: float | None = None
    ) -> None:
        self._job, self._world, self._planner = job, world, planner
        self._began = time.monotonic() if began is None else began
        size = planner.info.camera_size
        self._camera = CameraModel(*size) if size else CameraModel()
        self._sensors = Sensors(world.road_map, self._camera)
        settings = job.settings
        self._shown = SensorFilter(settings.sensors, self._camera, settings.drop_frames, job.seed)
        self._senses = settings.driver == "service" or job.video
        self._record = RouteRecord(job, planner.info, self._camera) if job.page else None
        self._control, self._failures = _FULL_BRAKE, 0
        self._reasons: Counter[str] = Counter()
        self._states: list[tuple[float, float, float]] = []
        self._ages: list[float] = []
        self._plan_ms: list[float] = []

    def run(self) -> RouteResult:
        """Drives until the world says that the route has ended."""
        if self._record:
            self._record.begin(self._world)
        end: EpisodeEnd | None = None
        while end is None:
            end = self._tick(len(self._states))
        result = self._result(end, self._world.state())
        if self._record:
            self._record.finish(self._world, result)
        return result

    def _tick(self, tick: int) -> EpisodeEnd | None:
        state = self._world.state()
        picture = self._sensors.picture(state) if self._senses else b""
        sweep = self._sensors.sweep(state) if self._senses else _NO_SWEEP
        self._states.append((state.speed_mps, state.yaw_rate_radps, state.lateral_error_m))
        plan, latency_ms, error = self._plan(self._shown.apply(observe(state, picture, sweep)))
        end = self._world.step(self._control)
        if self._record:
            record = tick_record(
                state,
                plan,
                self._control,
                tick=tick,
                wall_s=time.monotonic() - self._began,
                latency_ms=latency_ms,
                error=error,
                has_frame=self._record.wants_frame(tick),
            )
            self._record.add(tick, record, picture, sweep)
        return end

    def _plan(self, observation: Observation) -> tuple[Plan | None, float, str | None]:
        sent = time.perf_counter()
        try:
            plan = self._planner.plan(observation)
        except PlanFailed as failure:
            self._failures += 1
            self._reasons["FAILED"] += 1
            if self._failures >= _MOST_FAILURES_IN_ROW:
                raise
            if self._failures > _HOLD_CONTROL_TICKS:
                self._control = _FULL_BRAKE
            return None, (time.perf_counter() - sent) * 1e3, str(failure)
        if plan.control is None:
            raise PlanFailed("the answer has no control: the session's controller is off")
        self._failures, self._control = 0, plan.control
        self._reasons.update(plan.reasons)
        self._plan_ms += plan_times.plan_ms(plan)
        if plan.staleness_s is not None:
            self._ages.append(plan.staleness_s)
        return plan, (time.perf_counter() - sent) * 1e3, None

    def _result(self, end: EpisodeEnd, state: WorldState) -> RouteResult:
        speeds, yaw_rates, lateral = np.array(self._states).T
        options = self._world.options
        return RouteResult(
            seed=self._job.seed,
            outcome=end.value,
            route_completion=1.0 if end is EpisodeEnd.ARRIVED else round(state.route_completion, 4),
            route_length_m=round(self._world.route.length_m, 1),
            driven_m=round(float(speeds.sum()) * TICK_S, 2),
            seconds=round(len(speeds) * TICK_S, 2),
            infractions=infractions_of(end),
            lateral_rms_m=round(float(np.sqrt(np.mean(lateral * lateral))), 4),
            speed_at_end_mps=round(state.speed_mps, 2),
            standing_share=round(float(np.mean(speeds < 0.2)), 4),
            comfort=comfort(speeds.tolist(), yaw_rates.tolist(), TICK_S),
            plans=self._plans(len(speeds)),
            scene={
                "blocks": options.blocks,
                "density": options.traffic_density,
                "accidents": options.accident_probability,
            },
            wall_s=round(time.monotonic() - self._began, 2),
        )

    def _plans(self, ticks: int) -> dict[str, Any]:
        ages = self._ages or [0.0]
        return {
            "ticks": ticks,
            "reasons": dict(sorted(self._reasons.items())),
            "staleness_mean_s": round(float(np.mean(ages)), 4),
            "staleness_max_s": round(float(np.max(ages)), 4),
        } | plan_times.of_one_drive(self._plan_ms)
