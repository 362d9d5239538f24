"""A PlannerPort for tests: steers to the near target point, with made-up context ages. No network."""

from __future__ import annotations

import math

import numpy as np

from automot_client.driving.planner_port import PlanFailed, Refresh
from automot_client.driving.pursuit import WANTED_SPEED_MPS, pursue
from automot_client.types import DecisionSlot, Observation, Plan, ServerInfo, SnapshotRef


class ScriptedPlanner:
    """Pure pursuit at 7 m/s; context is "refreshed" each 0.5 s except between `away_s`."""

    def __init__(
        self,
        away_s: tuple[float, float] = (math.inf, math.inf),
        fail_ticks: frozenset[int] = frozenset(),
    ):
        self.info = ServerInfo("0" * 32, weights_trained=False, lane="in_process")
        self._away = away_s
        self._fail = fail_ticks
        self._episode = 1
        self._epoch = 100
        self._version = 0
        self._captured_us: int | None = None
        self._sequence = 0
        self._refreshes: list[Refresh] = []
        self.closed = False

    def plan(self, observation: Observation) -> Plan:
        self._sequence += 1
        if self._sequence - 1 in self._fail:
            raise PlanFailed("UNAVAILABLE: scripted")
        self._refresh(observation.capture_time_us)
        age = (
            None
            if self._captured_us is None
            else (observation.capture_time_us - self._captured_us) / 1e6
        )
        reasons = set()
        if age is None:
            reasons = {"NO_CONTEXT", "FALLBACK"}
        elif age > 1.0:
            reasons = {"STALE", "EXPIRED", "FALLBACK"}
        elif age > 0.5:
            reasons = {"STALE"}
        route = _curve(observation.target_points)
        speed = observation.speed_mps
        action = "ACCELERATE" if speed < WANTED_SPEED_MPS - 0.5 else "KEEP"
        slots = tuple(
            DecisionSlot(observation.capture_time_us + k * 1_000_000, action, action.lower(), 0.8)
            for k in range(3)
        )
        along = np.minimum(np.arange(1, 7) * 0.5 * max(speed, 1.0), len(route) - 1.0)
        waypoints = np.stack(
            [np.interp(along, np.arange(len(route)), route[:, i]) for i in (0, 1)], axis=1
        )
        return Plan(
            session="scripted",
            sequence=self._sequence,
            episode=self._episode,
            capture_time_us=observation.capture_time_us,
            route=route,
            waypoints=waypoints,
            waypoint_times_s=np.arange(1, 7) * 0.5,
            control=pursue(observation.target_points, observation.speed_mps),
            decision=slots,
            context_decision=slots,
            decision_agreement="AGREE",
            decision_consistency="CONSISTENT",
            snapshot=SnapshotRef("scripted", self._episode, self._epoch, self._version),
            model_revision=self.info.model_revision,
            reasons=frozenset(reasons),
            staleness_s=age,
            stage_seconds={
                "ingest": 0.001,
                "bev_encoder": 0.012,
                "action_expert": 0.008,
                "total": 0.022,
            },
        )

    def reset(self) -> None:
        self._episode += 1
        self._version = 0
        self._captured_us = None

    def take_refreshes(self) -> list[Refresh]:
        taken, self._refreshes = self._refreshes, []
        return taken

    def close(self) -> None:
        self.closed = True

    def _refresh(self, now_us: int) -> None:
        due = self._captured_us is None or now_us - self._captured_us >= 500_000
        if not due or self._away[0] <= now_us / 1e6 < self._away[1]:
            return
        self._version += 1
        self._captured_us = now_us - 100_000
        snapshot = SnapshotRef("scripted", self._episode, self._epoch, self._version)
        self._refreshes.append(
            Refresh(snapshot, self._captured_us, 0.11 + 0.001 * (self._version % 7), ())
        )


def _curve(target_points: np.ndarray) -> np.ndarray:
    """20 points, 1 m apart in x, through the origin and both target points (parabola in x)."""
    near, far = target_points
    x = np.arange(1.0, 21.0)
    if near[0] < 1.0 or far[0] <= near[0] + 0.5:
        return np.stack([x, np.zeros(20)], axis=1)
    matrix = np.array([[near[0], near[0] ** 2], [far[0], far[0] ** 2]])
    linear, square = np.linalg.solve(matrix, [near[1], far[1]])
    return np.stack([x, linear * x + square * x * x], axis=1)
