"""The closed loop: observe, plan, act, at 20 Hz of simulated time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from automot_client.bridge.projection import CameraModel
from automot_client.bridge.world import TICK_S, EpisodeEnd, World, WorldState
from automot_client.driving.faults import FaultEvent, Injector
from automot_client.driving.planner_port import PlanFailed, PlannerPort
from automot_client.driving.recording import RunRecorder, tick_record
from automot_client.driving.sensing import Sensors, observe
from automot_client.types import Control, Observation, Plan

_HOLD_CONTROL_TICKS = 10
_FULL_BRAKE = Control(steer=0.0, throttle=0.0, brake=1.0)


@dataclass(frozen=True)
class LoopOptions:
    """How long and how fast to drive."""

    seconds: float = 60.0
    realtime: bool = False
    frame_every_ticks: int = 2
    video_seconds: float = 120.0


@dataclass(frozen=True)
class Episode:
    """How an episode went; times are simulated seconds of the run."""

    number: int
    seed: int
    begin_s: float
    end_s: float
    end: str
    route_completion: float
    route_length_m: float


@dataclass
class LoopResult:
    """What happened. `wall_s` is of the driving alone; making new scenes took `reset_wall_s` more."""

    ticks: int = 0
    wall_s: float = 0.0
    reset_wall_s: float = 0.0
    missed_ticks: int = 0
    episodes: list[Episode] = field(default_factory=list)
    events: list[FaultEvent] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """What a progress line shows."""

    simulated_s: float
    state: WorldState
    plan: Plan | None
    latency_ms: float
    pace: float
    episode_end: EpisodeEnd | None
    event: FaultEvent | None = None


class ClosedLoop:
    """Drives one vehicle until its time is up. Not safe for use by several threads."""

    def __init__(
        self,
        world: World,
        planner: PlannerPort,
        recorder: RunRecorder,
        options: LoopOptions,
        injector: Injector | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        camera_model: CameraModel | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._now = monotonic
        self._sleep = sleep
        self._world = world
        self._planner = planner
        self._recorder = recorder
        self._options = options
        self._injector = injector
        self._on_progress = on_progress
        self._camera_model = camera_model or CameraModel()
        self._result = LoopResult()
        self._control = _FULL_BRAKE
        self._failures_in_row = 0

    def run(self) -> LoopResult:
        """Drives; ends early, with what there is, on KeyboardInterrupt."""
        begin = self._now()
        self._begin_episode()
        try:
            for tick in range(round(self._options.seconds / TICK_S)):
                self._wait_for_tick(begin, tick)
                self._tick(tick, begin)
        except KeyboardInterrupt:
            pass
        self._result.wall_s = self._driven_s(begin)
        if self._episode_begin_s < self._result.ticks * TICK_S:
            self._end_episode(EpisodeEnd.TIME_UP, self._world.state())
        self._recorder.add_refreshes(self._planner.take_refreshes())
        return self._result

    def _begin_episode(self) -> None:
        self._sensors = Sensors(self._world.road_map, self._camera_model)
        self._episode_begin_s = self._result.ticks * TICK_S
        self._control = _FULL_BRAKE
        self._failures_in_row = 0
        state = self._world.state()
        self._recorder.add_map(state.episode, self._world.road_map, self._world.route.points)

    def _wait_for_tick(self, begin: float, tick: int) -> None:
        """Realtime: sleeps until the tick is due. A late loop slips; it never bursts to catch up."""
        if not self._options.realtime:
            return
        late = self._driven_s(begin) - (tick + self._result.missed_ticks) * TICK_S
        if late < 0:
            self._sleep(-late)
        elif late >= TICK_S:
            self._result.missed_ticks += int(late / TICK_S)

    def _tick(self, tick: int, begin: float) -> None:
        state = self._world.state()
        event = self._inject(tick * TICK_S)
        picture, sweep = self._sensors.picture(state), self._sensors.sweep(state)
        plan, latency_ms, error = self._plan(observe(state, picture, sweep))
        end = self._world.step(self._control)
        self._result.ticks = tick + 1
        wall_s = self._driven_s(begin)
        self._record(tick, state, plan, latency_ms, error, wall_s)
        if self._wants_frame(tick):
            self._recorder.add_frame(tick, picture, sweep)
        pace = (tick + 1) * TICK_S / max(wall_s, 1e-9)
        self._on_progress(Progress((tick + 1) * TICK_S, state, plan, latency_ms, pace, end, event))
        if end is not None:
            self._next_episode(end)

    def _driven_s(self, begin: float) -> float:
        """Wall seconds of driving: a world that is being made anew does not go on."""
        return self._now() - begin - self._result.reset_wall_s

    def _next_episode(self, end: EpisodeEnd) -> None:
        began = self._now()
        self._end_episode(end, self._world.state())
        self._planner.reset()
        self._world.reset()
        self._begin_episode()
        self._result.reset_wall_s += self._now() - began

    def _plan(self, observation: Observation) -> tuple[Plan | None, float, str | None]:
        sent = time.perf_counter()
        plan: Plan | None = None
        error: str | None = None
        try:
            plan = self._planner.plan(observation)
        except PlanFailed as failure:
            error = str(failure)
        latency_ms = (time.perf_counter() - sent) * 1e3
        if plan is not None and plan.control is None:
            error = "the answer has no control: the session's controller is off"
            plan = None
        if plan is not None and plan.control is not None:
            self._control = plan.control
            self._failures_in_row = 0
        else:
            self._failures_in_row += 1
            if self._failures_in_row > _HOLD_CONTROL_TICKS:
                self._control = _FULL_BRAKE
        return plan, latency_ms, error

    def _inject(self, simulated_s: float) -> FaultEvent | None:
        event = None if self._injector is None else self._injector.advance(simulated_s)
        if event is not None:
            self._result.events.append(event)
        return event

    def _wants_frame(self, tick: int) -> bool:
        return (
            tick % self._options.frame_every_ticks == 0
            and tick * TICK_S < self._options.video_seconds
        )

    def _record(
        self,
        tick: int,
        state: WorldState,
        plan: Plan | None,
        latency_ms: float,
        error: str | None,
        wall_s: float,
    ) -> None:
        record = tick_record(
            state,
            plan,
            self._control,
            tick=tick,
            wall_s=wall_s,
            latency_ms=latency_ms,
            error=error,
            has_frame=self._wants_frame(tick),
        )
        self._recorder.add_tick(record)
        self._recorder.add_refreshes(self._planner.take_refreshes())

    def _end_episode(self, end: EpisodeEnd, state: WorldState) -> None:
        self._result.episodes.append(
            Episode(
                number=state.episode,
                seed=self._world.episode_seed,
                begin_s=self._episode_begin_s,
                end_s=self._result.ticks * TICK_S,
                end=end.value,
                route_completion=1.0 if end is EpisodeEnd.ARRIVED else state.route_completion,
                route_length_m=self._world.route.length_m,
            )
        )
