"""A World for tests: drives straight whatever is asked. No simulator."""

from __future__ import annotations

import numpy as np

from automot_client.bridge.road_map import RoadMap
from automot_client.bridge.route import Route
from automot_client.bridge.world import TICK_US, EpisodeEnd, WorldOptions, WorldState
from automot_client.geometry import Box, Pose, local_to_ego
from automot_client.types import Control


class ScriptedWorld:
    """Drives straight at 7 m/s whatever the control; an episode ends `crash_after` ticks into it."""

    def __init__(
        self, road_map: RoadMap, crash_after: int, end: EpisodeEnd = EpisodeEnd.CRASH_VEHICLE
    ) -> None:
        self.road_map = road_map
        self.options = WorldOptions(traffic_density=0.1)
        self.controls: list[Control] = []
        self.resets = 0
        self._crash_after = crash_after
        self._end = end
        self._ticks = self._time_us = 0
        self._new_route()

    @property
    def episode_seed(self) -> int:
        return 100 + self.resets

    def state(self) -> WorldState:
        pose = Pose(0.35 * self._ticks, 0.0, 0.0)
        self.route.update(pose.x, pose.y)
        targets = np.stack([self.route.at(self.route.progress_m + d) for d in (8.0, 20.0)])
        return WorldState(
            time_us=self._time_us,
            episode=self.resets,
            pose=pose,
            speed_mps=7.0,
            yaw_rate_radps=0.0,
            target_points=local_to_ego(targets, pose),
            route_revision=1 + self.resets,
            route_completion=self.route.completion,
            lateral_error_m=0.0,
            vehicles=[Box(pose.x + 20.0, 0.0, 0.0, 4.5, 1.9, 1.4)],
        )

    def step(self, control: Control) -> EpisodeEnd | None:
        self.controls.append(control)
        self._ticks += 1
        self._time_us += TICK_US
        return self._end if self._ticks == self._crash_after else None

    def reset(self) -> None:
        self.resets += 1
        self._ticks = 0
        self._new_route()

    def _new_route(self) -> None:
        self.route = Route(np.stack([np.arange(0.0, 160.5, 0.5), np.zeros(321)], axis=1))
