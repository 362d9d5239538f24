"""Who drives while an episode is recorded; here: the teacher."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from automot_client.dataset.perturbation import Perturbation
from automot_client.teacher.follower import TrajectoryFollower
from automot_client.teacher.teacher import TeacherPlan
from automot_client.types import Control, Observation


class Driver(Protocol):
    """Chooses the control of each tick."""

    def control(self, observation: Observation, plan: TeacherPlan) -> tuple[Control, bool]:
        """Control, and whether it was perturbed on purpose."""

    def close(self) -> None:
        """Ends what it holds."""


class TeacherDriver:
    """Drives the teacher's plan, with bursts of wrong control."""

    def __init__(self, drawn: np.random.Generator, tick_s: float) -> None:
        self._follower = TrajectoryFollower()
        self._perturbation = Perturbation(drawn, tick_s)

    def control(self, observation: Observation, plan: TeacherPlan) -> tuple[Control, bool]:
        """See Driver."""
        wanted = self._follower.step(plan.route, plan.waypoints, observation.speed_mps)
        return self._perturbation.apply(wanted)

    def close(self) -> None:
        """See Driver."""
