"""The MetaDrive world: seeded scenes, 20 Hz steps, the vehicle's sensors and the ends of an episode.

MetaDrive renders nothing here and its own LiDAR is off; camera and LiDAR are made by this package from
the simulator's lanes and vehicles. Import of the simulator happens when a World is made.
"""

from __future__ import annotations

import contextlib
import enum
import io
import itertools
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from automot_client.bridge.road_map import (
    LaneBorder,
    LaneShape,
    LineKind,
    RoadMap,
    sample_positions,
)
from automot_client.bridge.route import Route, TargetPointRule, build_centre_line, choose_lanes
from automot_client.bridge.route_roads import route_roads
from automot_client.geometry import Box, Pose
from automot_client.types import Control

TICK_US = 50_000
TICK_S = TICK_US / 1e6
_PHYSICS_STEP_S = 0.025
_STANDING_SPEED_MPS = 0.1
_HOLD_SPEED_MPS = 0.3
_HOLD_BRAKE = 0.05


class EpisodeEnd(enum.Enum):
    """Why an episode ended. Out of road is told apart by what was touched."""

    ARRIVED = "arrived"
    CRASH_VEHICLE = "crash_vehicle"
    CRASH_OBJECT = "crash_object"
    OFF_ROAD_YELLOW_LINE = "off_road_yellow_line"
    OFF_ROAD_WHITE_LINE = "off_road_white_line"
    OFF_ROAD_SIDEWALK = "off_road_sidewalk"
    OFF_ROAD_LEFT_LANES = "off_road_left_lanes"
    STANDING = "standing"
    HORIZON = "horizon"
    TIME_UP = "time_up"

    @property
    def is_collision(self) -> bool:
        """True for a crash."""
        return self in (EpisodeEnd.CRASH_VEHICLE, EpisodeEnd.CRASH_OBJECT)

    @property
    def is_off_road(self) -> bool:
        """True for leaving the road or touching a line that must not be crossed."""
        return self.value.startswith("off_road")


@dataclass(frozen=True)
class WorldOptions:
    """How the world is made. The record of a run keeps all of it."""

    seed: int = 0
    traffic_density: float = 0.1
    blocks: int = 4
    horizon_s: float = 120.0
    standing_limit_s: float = 30.0
    target_point_rule: str = "route_distance:8,20"
    accident_probability: float = 0.0


@dataclass(frozen=True)
class WorldState:
    """What is true of the world at one tick. Poses and boxes in the local frame, metres and radians."""

    time_us: int
    episode: int
    pose: Pose
    speed_mps: float
    yaw_rate_radps: float
    target_points: np.ndarray
    route_revision: int
    route_completion: float
    lateral_error_m: float
    vehicles: list[Box] = field(default_factory=list)


class World:
    """One vehicle in MetaDrive. Owns the simulator; only one may exist in a process at a time."""

    def __init__(self, options: WorldOptions) -> None:
        self.options = options
        self._rule = TargetPointRule(options.target_point_rule)
        self._time_us = 0
        self._episode = -1
        self._base_revision = 0
        self._env = _make_environment(options)
        self.reset()

    def close(self) -> None:
        """Frees the simulator."""
        self._env.close()

    @property
    def ego_size(self) -> tuple[float, float, float]:
        """Length, width and height of the ego vehicle, metres."""
        vehicle = self._env.vehicle
        return float(vehicle.LENGTH), float(vehicle.WIDTH), float(vehicle.HEIGHT)

    @property
    def episode_seed(self) -> int:
        """Seed of the running episode's map and traffic."""
        return self.options.seed + self._episode

    def reset(self) -> None:
        """Starts the next episode: seed + 1, new map, new route. Session time goes on."""
        self._episode += 1
        with _quiet():
            self._env.reset(force_seed=self.episode_seed)
        self._ticks = 0
        self._standing_ticks = 0
        self._last_yaw = float(self._env.vehicle.heading_theta)
        self._yaw_rate = 0.0
        self.road_map = RoadMap.from_lanes(_lane_shapes(self._env.current_map.road_network.graph))
        self.route = self._plan_route()
        self._base_revision += 1
        self._switches = 0

    def state(self) -> WorldState:
        """The world now."""
        pose = self._pose()
        self.route.update(pose.x, pose.y)
        targets, switches = self._rule.select(self.route, pose)
        self._base_revision += max(0, switches - self._switches)
        self._switches = switches
        return WorldState(
            time_us=self._time_us,
            episode=self._episode,
            pose=pose,
            speed_mps=float(self._env.vehicle.speed),
            yaw_rate_radps=self._yaw_rate,
            target_points=targets,
            route_revision=self._base_revision,
            route_completion=self.route.completion,
            lateral_error_m=self.route.lateral_error_m(pose.x, pose.y),
            vehicles=list(self._traffic()),
        )

    def step(self, control: Control) -> EpisodeEnd | None:
        """Drives one tick of 0.05 s; the reason when the episode has ended, else None."""
        action = to_metadrive_action(control, float(self._env.vehicle.speed))
        _, _, _, info = self._env.step(action)
        self._time_us += TICK_US
        self._ticks += 1
        yaw = float(self._env.vehicle.heading_theta)
        self._yaw_rate = math.remainder(yaw - self._last_yaw, 2 * math.pi) / TICK_S
        self._last_yaw = yaw
        standing = float(self._env.vehicle.speed) < _STANDING_SPEED_MPS
        self._standing_ticks = self._standing_ticks + 1 if standing else 0
        return self._end_of(info)

    def _end_of(self, info: dict[str, Any]) -> EpisodeEnd | None:
        end = classify_end(info, self._env.vehicle)
        if end is not None:
            return end
        if self._standing_ticks * TICK_S >= self.options.standing_limit_s:
            return EpisodeEnd.STANDING
        if self._ticks * TICK_S >= self.options.horizon_s:
            return EpisodeEnd.HORIZON
        return None

    def _pose(self) -> Pose:
        vehicle = self._env.vehicle
        return Pose(
            float(vehicle.position[0]), float(vehicle.position[1]), float(vehicle.heading_theta)
        )

    def _traffic(self) -> Iterator[Box]:
        ego = self._env.vehicle
        for other in self._env.engine.get_objects().values():
            if other is ego or not hasattr(other, "LENGTH") or not hasattr(other, "heading_theta"):
                continue
            position = other.position
            yield Box(
                x=float(position[0]),
                y=float(position[1]),
                yaw=float(other.heading_theta),
                length=float(other.LENGTH),
                width=float(other.WIDTH),
                height=float(getattr(other, "HEIGHT", None) or 1.0),
                speed_mps=float(other.speed) if hasattr(other, "throttle_brake") else 0.0,
                kind=_kind_of(other),
            )

    def _plan_route(self) -> Route:
        graph = self._env.current_map.road_network.graph
        nodes = self._env.vehicle.navigation.checkpoints
        roads = [graph[a][b] for a, b in itertools.pairwise(nodes)]
        start = int(self._env.vehicle.lane_index[2])
        choices = choose_lanes(roads, start)
        self.route_roads = route_roads(roads, choices, nodes[1:])
        return Route(build_centre_line(roads, choices))


def _kind_of(thing: Any) -> str:
    names = {"TrafficCone": "cone", "TrafficWarning": "warning", "TrafficBarrier": "barrier"}
    broken = "broken_vehicle" if getattr(thing, "break_down", False) else "vehicle"
    return names.get(type(thing).__name__, broken)


def to_metadrive_action(control: Control, speed_mps: float) -> list[float]:
    """MetaDrive's [steering, throttle or brake]: steering is negated, braking is negative throttle.

    A brake that stays on pushes MetaDrive's standing vehicle backwards, so at a stop it is eased.
    """
    if control.brake <= 0.0:
        return [-control.steer, control.throttle]
    eased = _HOLD_BRAKE if speed_mps < _HOLD_SPEED_MPS else 1.0
    return [-control.steer, -control.brake * eased]


def classify_end(info: dict[str, Any], vehicle: Any) -> EpisodeEnd | None:
    """The end that MetaDrive's flags tell; arriving is tested first, because `done` merges them all."""
    if info.get("arrive_dest"):
        return EpisodeEnd.ARRIVED
    if info.get("crash_vehicle"):
        return EpisodeEnd.CRASH_VEHICLE
    if info.get("crash_object") or info.get("crash_building"):
        return EpisodeEnd.CRASH_OBJECT
    if not info.get("out_of_road"):
        return None
    if not vehicle.on_lane:
        return EpisodeEnd.OFF_ROAD_LEFT_LANES
    if vehicle.on_yellow_continuous_line:
        return EpisodeEnd.OFF_ROAD_YELLOW_LINE
    if vehicle.on_white_continuous_line:
        return EpisodeEnd.OFF_ROAD_WHITE_LINE
    return EpisodeEnd.OFF_ROAD_SIDEWALK


def _lane_shapes(graph: Any) -> Iterator[LaneShape]:
    for ends in graph.values():
        for lanes in ends.values():
            for lane in lanes:
                yield _lane_shape(lane)


def _lane_shape(lane: Any) -> LaneShape:
    where = sample_positions(lane.length)
    half = lane.width_at(0) / 2
    borders = []
    for side, kind, colour in zip((-1, 1), lane.line_types, lane.line_colors):
        points = np.array([lane.position(s, side * half) for s in where], dtype=np.float64)
        borders.append(LaneBorder(points, LineKind(kind), yellow=colour[2] < 0.5))
    return LaneShape(left=borders[0], right=borders[1])


def _make_environment(options: WorldOptions) -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    with _quiet():
        from metadrive import MetaDriveEnv
        from metadrive.manager.object_manager import TrafficObjectManager

        class Environment(MetaDriveEnv):  # type: ignore[misc]
            """MetaDrive with accidents: cones, barriers and broken vehicles on the road."""

            def setup_engine(self) -> None:
                super().setup_engine()
                if options.accident_probability > 0.0:
                    self.engine.register_manager("object_manager", TrafficObjectManager())

        return Environment(
            {
                "use_render": False,
                "start_seed": options.seed,
                "environment_num": 100_000,
                "map": options.blocks,
                "traffic_density": options.traffic_density,
                "accident_prob": options.accident_probability,
                "force_destroy": True,
                "physics_world_step_size": _PHYSICS_STEP_S,
                "decision_repeat": round(TICK_S / _PHYSICS_STEP_S),
                "vehicle_config": {
                    "lidar": {"num_lasers": 0, "distance": 0, "num_others": 0},
                    "side_detector": {"num_lasers": 0},
                    "lane_line_detector": {"num_lasers": 0},
                },
            }
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the simulator's start-up chatter, Python's and its engine's; exceptions still pass."""
    logging.getLogger("metadrive").setLevel(logging.ERROR)
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
