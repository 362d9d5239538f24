"""Drives with a served model while an episode is recorded; the teacher answers for its states."""

from __future__ import annotations

import uuid

from automot_client.driving.planner_port import PlanFailed, ServicePlanner
from automot_client.session_options import SessionOptions
from automot_client.teacher.follower import TrajectoryFollower
from automot_client.teacher.teacher import TeacherPlan
from automot_client.types import Control, Observation

_MOST_FAILURES = 20


class ServiceDriver:
    """Drives as a planning service says; where it gives no plan, as the teacher would.

    More than a second of failures, in a row or not, end the episode by PlanFailed: it would hold the
    teacher's states. A lost sweep is no failure: the model plans without it, as it does in service.
    """

    def __init__(self, address: str, plan_deadline_s: float = 60.0) -> None:
        self._follower = TrajectoryFollower()
        self._failures = 0
        self._planner = ServicePlanner(
            address,
            None,
            f"collect-{uuid.uuid4().hex[:8]}",
            SessionOptions(
                reasoning_rate_hz=4.0,
                time_mode="stepped",
                run_controller=True,
                on_missing_modality="flag",
            ),
            plan_deadline_s=plan_deadline_s,
        )

    def control(self, observation: Observation, plan: TeacherPlan) -> tuple[Control, bool]:
        """See Driver."""
        own = self._follower.step(plan.route, plan.waypoints, observation.speed_mps)
        try:
            return self._planner.plan(observation).control or own, False
        except PlanFailed:
            self._failures += 1
            if self._failures > _MOST_FAILURES:
                raise
            return own, False

    def close(self) -> None:
        """See Driver."""
        self._planner.close()
