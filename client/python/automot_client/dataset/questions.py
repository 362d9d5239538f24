"""Questions about a scene with answers from the simulator's true state.

Asked only where the answer is clear from the pictures: what is near the border of two answers is not
asked. The family `nearest_side` is never taught: it is left out of the train split.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from automot_client.bridge.projection import CameraModel
from automot_client.bridge.route_roads import JUNCTIONS, RouteRoad
from automot_client.bridge.world import WorldState
from automot_client.geometry import Box, Pose, ego_to_local, local_to_ego
from automot_client.teacher.forecast import project
from automot_client.teacher.path import CORRIDOR_HALF_M

_NEAR_M = 30.0
_FREE_M = 25.0
_BORDER_M = 0.7
_VISIBLE_SHARE = 0.4
_COUNTS = ("none", "one", "two", "three or more")
_BANDS = ((10.0, "under 10 metres"), (20.0, "10 to 20 metres"), (30.0, "20 to 30 metres"))
_VEHICLES = ("vehicle", "broken_vehicle")


@dataclass(frozen=True)
class Seen:
    """A vehicle in view: distance of its nearest edge from our front along x, its box in the ego frame."""

    ahead_m: float
    y_m: float
    box: Box


def seen_vehicles(state: WorldState, camera: CameraModel, ego_length_m: float) -> list[Seen]:
    """Vehicles that the camera shows and nothing hides, nearest first; those ahead of our front."""
    pose = state.pose
    place = ego_to_local(np.array([camera.x_m, camera.y_m]), pose)
    view = Pose(float(place[0]), float(place[1]), pose.yaw + math.radians(camera.yaw_deg))
    half_view = math.radians(camera.fov_deg) / 2
    hidden = np.zeros(720, dtype=bool)
    bearings = np.linspace(-half_view, half_view, len(hidden))
    found = []
    for box in sorted(state.vehicles, key=lambda b: math.hypot(b.x - view.x, b.y - view.y)):
        corners = local_to_ego(box.corners(), view)
        if (corners[:, 0] <= 0.3).all():
            continue
        angles = np.arctan2(corners[:, 1], np.maximum(corners[:, 0], 0.3))
        covers = (bearings >= angles.min()) & (bearings <= angles.max())
        width = max((angles.max() - angles.min()) / (bearings[1] - bearings[0]), 1.0)
        visible = np.count_nonzero(covers & ~hidden) / width
        if box.kind in _VEHICLES:
            hidden |= covers
            ego = local_to_ego(box.corners(), pose)
            centre = local_to_ego(np.array([box.x, box.y]), pose)
            ahead = float(ego[:, 0].min()) - ego_length_m / 2
            if visible >= _VISIBLE_SHARE and ahead > 0.0:
                found.append(Seen(ahead, float(centre[1]), box))
    return sorted(found, key=lambda seen: seen.ahead_m)


def scene_answers(
    state: WorldState,
    path: np.ndarray,
    roads: Sequence[RouteRoad],
    progress_m: float,
    camera: CameraModel,
    ego_length_m: float,
) -> dict[str, str]:
    """Answers by family, of those that are clear. path [n, 2]: our way ahead, local frame, 0.5 m apart."""
    seen = seen_vehicles(state, camera, ego_length_m)
    turn = _turn_deg(path, 25.0)
    junction = any(
        road.block in JUNCTIONS
        for road in roads
        if road.end_m > progress_m and road.begin_m < progress_m + _FREE_M
    )
    answers: dict[str, str | None] = {
        "vehicles_ahead": _count(seen),
        "nearest_distance": _band(seen),
        "crossing": _crossing(seen, path),
        "lane_free": None if abs(turn) > 45.0 else _lane_free(state, path, ego_length_m),
        "road_bend": None if junction else _bend(turn),
        "turn_coming": _clear(abs(turn), 30.0, 45.0),
        "ego_stopped": _clear(-state.speed_mps, -1.0, -0.2),
        "nearest_side": _side(seen, path),
    }
    return {family: answer for family, answer in answers.items() if answer is not None}


class Questioner:
    """Chooses what is asked in an episode, rare answers first. Not safe for use by several threads."""

    def __init__(self, drawn: np.random.Generator, split: str, per_frame: int = 3) -> None:
        catalogue = json.loads(
            resources.files("automot_client.dataset").joinpath("scene_questions.json").read_text()
        )
        self.version: int = catalogue["version"]
        self._templates: dict[str, list[str]] = {
            family: entry["questions"]
            for family, entry in catalogue["families"].items()
            if split != "train" or not entry["held_out"]
        }
        self._drawn = drawn
        self._per_frame = per_frame
        self._asked: Counter[tuple[str, str]] = Counter()

    def ask(self, answers: dict[str, str], target_points: np.ndarray) -> list[dict[str, str]]:
        """Up to `per_frame` questions with their answers."""
        open_families = sorted(set(answers) & set(self._templates))
        chosen: list[dict[str, str]] = []
        while open_families and len(chosen) < self._per_frame:
            weight = np.array([1.0 / (1 + self._asked[f, answers[f]]) for f in open_families])
            pick = int(self._drawn.choice(len(open_families), p=weight / weight.sum()))
            family = open_families.pop(pick)
            self._asked[family, answers[family]] += 1
            template = str(self._drawn.choice(self._templates[family]))
            targets = ", ".join(f"({x:.2f}, {y:.2f})" for x, y in target_points)
            question = template.replace("{targets}", targets)
            chosen.append({"family": family, "question": question, "answer": answers[family]})
        return chosen


def _count(seen: list[Seen]) -> str | None:
    if any(abs(one.ahead_m - _NEAR_M) < _BORDER_M for one in seen):
        return None
    return _COUNTS[min(sum(one.ahead_m < _NEAR_M for one in seen), 3)]


def _band(seen: list[Seen]) -> str | None:
    nearest = seen[0].ahead_m if seen else math.inf
    if any(abs(nearest - limit) < _BORDER_M for limit, _ in _BANDS):
        return None
    return next((name for limit, name in _BANDS if nearest < limit), "no vehicle within 30 metres")


def _crossing(seen: list[Seen], path: np.ndarray) -> str:
    for one in seen:
        if one.ahead_m > _NEAR_M or one.box.speed_mps < 1.0:
            continue
        s, d, tangent = project(path, np.array([[one.box.x, one.box.y]]))
        angle = one.box.yaw - math.atan2(tangent[0, 1], tangent[0, 0])
        across = math.sin(angle)
        comes = float(d[0]) * across < 0.0 and abs(float(d[0])) < 15.0
        if abs(across) > 0.6 and (comes or abs(float(d[0])) < 3.0) and float(s[0]) > 0.0:
            return "yes"
    return "no"


def _lane_free(state: WorldState, path: np.ndarray, ego_length_m: float) -> str | None:
    nearest = math.inf
    for box in state.vehicles:
        s, d, _ = project(path, box.corners())
        if d.min() < CORRIDOR_HALF_M and d.max() > -CORRIDOR_HALF_M and s.max() > 0.0:
            nearest = min(nearest, float(s.min()) - ego_length_m / 2)
    return _clear(nearest, _FREE_M - _BORDER_M, _FREE_M + _BORDER_M)


def _bend(turn_deg: float) -> str | None:
    if abs(turn_deg) < 4.0:
        return "straight"
    if abs(turn_deg) < 10.0:
        return None
    return "right" if turn_deg > 0.0 else "left"


def _side(seen: list[Seen], path: np.ndarray) -> str | None:
    if not seen or seen[0].ahead_m > _NEAR_M:
        return None
    _, d, _ = project(path, seen[0].box.corners())
    if d.min() > CORRIDOR_HALF_M:
        return "right"
    return "left" if d.max() < -CORRIDOR_HALF_M else None


def _clear(value: float, below: float, above: float) -> str | None:
    """`no` below a value, `yes` above another, nothing between."""
    return "no" if value < below else "yes" if value > above else None


def _turn_deg(path: np.ndarray, distance_m: float) -> float:
    """How far the path turns over a distance, degrees, right positive."""
    last = min(len(path) - 3, round(distance_m / 0.5))
    first, then = path[2] - path[0], path[last + 2] - path[last]
    turn = math.atan2(then[1], then[0]) - math.atan2(first[1], first[0])
    return math.degrees(math.remainder(turn, 2 * math.pi))
