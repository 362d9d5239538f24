"""Drivers without a service, to compare with: they know the simulator's state, and nothing is served."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from automot_client.bridge.world import World
from automot_client.driving.planner_port import Refresh
from automot_client.geometry import arc_lengths, local_to_ego
from automot_client.teacher.follower import TrajectoryFollower
from automot_client.teacher.teacher import Teacher
from automot_client.types import DecisionSlot, Observation, Plan, ServerInfo, SnapshotRef

CONSTANT_SPEED_MPS = 8.0
_ACTIONS = ("STOP", "SLOW", "KEEP", "ACCELERATE")
_KEEP = np.full(3, _ACTIONS.index("KEEP"))
_FAR_M = 40.0

# Route [20, 2] 1 m apart, waypoints [6, 2] and decisions [3] of an observation, ego frame.
Trajectory = tuple[np.ndarray, np.ndarray, np.ndarray]


class LocalPlanner:
    """PlannerPort that computes each trajectory here; control as the services make it (spec 5.2)."""

    def __init__(self, name: str, trajectory: Callable[[Observation], Trajectory]) -> None:
        self.info = ServerInfo(name, weights_trained=True, lane="none")
        self._trajectory = trajectory
        self._follower = TrajectoryFollower()
        self._sequence = 0

    def plan(self, observation: Observation) -> Plan:
        """See PlannerPort."""
        self._sequence += 1
        route, waypoints, decisions = self._trajectory(observation)
        slots = tuple(
            DecisionSlot(
                observation.capture_time_us + k * 1_000_000,
                _ACTIONS[int(decision)],
                _ACTIONS[int(decision)].lower(),
                1.0,
            )
            for k, decision in enumerate(decisions)
        )
        return Plan(
            session=self.info.model_revision,
            sequence=self._sequence,
            episode=1,
            capture_time_us=observation.capture_time_us,
            route=route,
            waypoints=waypoints,
            waypoint_times_s=np.arange(1, 7) * 0.5,
            control=self._follower.step(route, waypoints, observation.speed_mps),
            decision=slots,
            context_decision=(),
            decision_agreement="NOT_COMPARABLE",
            decision_consistency="NOT_COMPARABLE",
            snapshot=SnapshotRef("", 0, 0, 0),
            model_revision=self.info.model_revision,
            reasons=frozenset(),
            staleness_s=None,
        )

    def reset(self) -> None:
        """See PlannerPort."""
        self._follower = TrajectoryFollower()

    def take_refreshes(self) -> list[Refresh]:
        """See PlannerPort."""
        return []

    def close(self) -> None:
        """See PlannerPort."""


def teacher(world: World) -> LocalPlanner:
    """The teacher: knows every vehicle."""
    knowing = Teacher(world.route, world.route_roads, world.ego_size[0])

    def trajectory(_: Observation) -> Trajectory:
        plan = knowing.plan(world.state())
        return plan.route, plan.waypoints, plan.decisions

    return LocalPlanner("teacher", trajectory)


def blind_route(world: World) -> LocalPlanner:
    """The map's route at constant speed, whatever is in the way."""

    def trajectory(_: Observation) -> Trajectory:
        ahead = local_to_ego(world.route.ahead(_FAR_M), world.state().pose)
        return _at_constant_speed(ahead)

    return LocalPlanner("blind_route", trajectory)


def straight_lines(_: World) -> LocalPlanner:
    """Straight lines to the target points at constant speed: all that a planner is told of the way."""

    def trajectory(observation: Observation) -> Trajectory:
        near, far = observation.target_points
        onward = (far - near) / max(float(np.hypot(*(far - near))), 1e-6)
        return _at_constant_speed(np.stack([np.zeros(2), near, far, far + _FAR_M * onward]))

    return LocalPlanner("straight_lines", trajectory)


LOCAL_DRIVERS: dict[str, Callable[[World], LocalPlanner]] = {
    "teacher": teacher,
    "blind_route": blind_route,
    "straight_lines": straight_lines,
}


def _at_constant_speed(way: np.ndarray) -> Trajectory:
    arc = arc_lengths(way)
    route, waypoints = (
        np.stack([np.interp(where, arc, way[:, i]) for i in (0, 1)], axis=1)
        for where in (np.arange(1.0, 21.0), CONSTANT_SPEED_MPS * 0.5 * np.arange(1, 7))
    )
    return route, waypoints, _KEEP
