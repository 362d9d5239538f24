"""Scores of planned trajectories against a record: per frame, then over episodes.

Frames of an episode depend on each other, so intervals draw whole episodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automot_client.evaluation import plan_times
from automot_client.evaluation.replay_episode import EgoShape, ReplayEpisode
from automot_client.evaluation.statistics import bootstrap_ratio, rounded
from automot_client.geometry import Pose, ego_to_local, local_to_ego
from automot_client.types import Plan

ACTIONS = ("STOP", "SLOW", "KEEP", "ACCELERATE")
_STEP_S = 0.5
_SECONDS = (1, 2, 3)
_ROUTE_M = (3, 10, 20)
_BRAKE_MPS, _HARD_BRAKE_MPS = 1.0, 2.0
_TURNS_M = 0.3

# One frame's figures by name; None where the record does not tell.
FrameScore = dict[str, Any]


def score_frame(episode: ReplayEpisode, index: int, plan: Plan) -> FrameScore:
    """Figures of one plan."""
    frame = episode.frames[index]
    found: FrameScore = {
        "l2_m": np.hypot(*(plan.waypoints - frame.waypoints).T).round(4).tolist(),
        "speed_mps": round(frame.observation.speed_mps, 3),
        "wanted_mps": [round(wanted_speed(w), 3) for w in (plan.waypoints, frame.waypoints)],
        "collided": _collisions(episode, index, plan.waypoints),
        "label_collided": _collisions(episode, index, frame.waypoints),
    }
    if frame.route is not None:
        found["route_m"] = [
            round(_lateral(plan.route[metre - 1], frame.route), 4) for metre in _ROUTE_M
        ]
    if frame.decisions is not None:
        said = [ACTIONS.index(s.action) if s.action in ACTIONS else -1 for s in plan.decision]
        found["decisions"] = [(said + [-1] * 3)[:3], [int(one) for one in frame.decisions]]
    return found


def wanted_speed(waypoints: np.ndarray) -> float:
    """The speed that the controller takes from waypoints [6, 2], m/s (spec 5.2)."""
    return float(np.hypot(*(waypoints[1] - waypoints[0]))) / _STEP_S


def summarise(episodes: Sequence[Sequence[FrameScore]]) -> dict[str, Any]:
    """Every figure with its interval. ValueError where no frame is scored."""
    episodes = [episode for episode in episodes if episode]
    if not episodes:
        raise ValueError("no frame is scored")
    found: dict[str, Any] = {"episodes": len(episodes), "frames": sum(map(len, episodes))}
    total = _Totals(episodes)
    for second in _SECONDS:
        last = round(second / _STEP_S) - 1
        total.mean(found, f"l2_{second}s_m", lambda f, k=last: f["l2_m"][k])
        total.mean(found, f"l2_until_{second}s_m", lambda f, k=last: np.mean(f["l2_m"][: k + 1]))
        for name in ("collided", "label_collided"):
            key = f"{name}_{second}s"
            total.mean(found, key, lambda f, k=last, n=name: _any_until(f[n], k))
    total.mean(found, "l2_average_m", _l2_average)
    found["final_displacement_m"] = found["l2_3s_m"]
    found["final_displacement_m_interval"] = found["l2_3s_m_interval"]
    for k, metre in enumerate(_ROUTE_M):
        total.mean(found, f"route_lateral_{metre}m_m", lambda f, k=k: _item(f.get("route_m"), k))
    _add_decisions(found, total)
    total.mean(found, "wanted_speed_error_mps", lambda f: abs(np.subtract(*f["wanted_mps"])))
    for name, threshold in (("brake", _BRAKE_MPS), ("hard_brake", _HARD_BRAKE_MPS)):
        total.add(found, f"{name}_recall", lambda f, t=threshold: _brakes(f, t, 1, 0))
        total.add(found, f"{name}_precision", lambda f, t=threshold: _brakes(f, t, 0, 1))
        found[f"{name}_frames"] = sum(_brakes(f, threshold, 1, 0)[1] for e in episodes for f in e)
    return found | plan_times.of_all(plan_times.of_one_drive(_plan_ms(one)) for one in episodes)


def per_episode(scores: dict[str, Sequence[FrameScore]]) -> list[dict[str, Any]]:
    """What two runs are paired by: the mean distance in each episode, by name."""
    return [
        {
            "episode": name,
            "frames": len(one),
            "l2_average_m": round(float(np.mean([_l2_average(frame) for frame in one])), 6),
        }
        for name, one in scores.items()
        if one
    ]


@dataclass(frozen=True)
class _Totals:
    """Sums of numerators over sums of denominators, over the episodes' frames."""

    episodes: Sequence[Sequence[FrameScore]]

    def mean(self, found: dict[str, Any], name: str, value: Any) -> None:
        """Mean of a value over the frames that have it."""

        def pair(frame: FrameScore) -> tuple[float, float]:
            one = value(frame)
            return (0.0, 0.0) if one is None else (float(one), 1.0)

        self.add(found, name, pair)

    def add(self, found: dict[str, Any], name: str, pair: Any) -> None:
        """A ratio whose parts `pair` gives per frame; left out where the denominator is zero."""
        sums = np.array([np.sum([pair(frame) for frame in one], axis=0) for one in self.episodes])
        if sums[:, 1].sum() == 0.0:
            return
        found[name] = round(float(sums[:, 0].sum() / sums[:, 1].sum()), 4)
        found[f"{name}_interval"] = rounded(bootstrap_ratio(sums[:, 0], sums[:, 1]))


def _add_decisions(found: dict[str, Any], total: _Totals) -> None:
    if not any("decisions" in frame for episode in total.episodes for frame in episode):
        return
    for k, slot in enumerate(("now", "1s", "2s")):
        total.mean(found, f"decision_{slot}_accuracy", lambda f, k=k: _right(f, k))
    total.mean(found, "decision_mean_accuracy", lambda f: np.mean([_right(f, k) for k in range(3)]))
    total.mean(found, "decision_joint_accuracy", lambda f: all(_right(f, k) for k in range(3)))
    table = np.zeros((len(ACTIONS), len(ACTIONS) + 1), dtype=int)
    for episode in total.episodes:
        for frame in episode:
            for said, right in zip(*frame["decisions"]):
                table[right, said] += 1  # What was not parsed is -1, the last column.
    found["decision_confusion"] = {
        action.lower(): dict(zip([*(a.lower() for a in ACTIONS), "unparsed"], row.tolist()))
        for action, row in zip(ACTIONS, table)
    }


def _l2_average(frame: FrameScore) -> float:
    return float(np.mean([frame["l2_m"][round(second / _STEP_S) - 1] for second in _SECONDS]))


def _plan_ms(episode: Sequence[FrameScore]) -> list[float]:
    return [one for frame in episode for one in frame.get("plan_ms", ())]


def _right(frame: FrameScore, slot: int) -> bool:
    said, right = frame["decisions"]
    return bool(said[slot] == right[slot])


def _brakes(frame: FrameScore, threshold: float, given: int, wanted: int) -> tuple[int, int]:
    """(both brake, the given one brakes); 0 is the plan, 1 the record."""
    slower = [frame["speed_mps"] - speed >= threshold for speed in frame["wanted_mps"]]
    return int(slower[given] and slower[wanted]), int(slower[given])


def _any_until(collided: list[bool | None], last: int) -> bool | None:
    """Whether one of the steps until `last` collided; None where the record ends before."""
    steps = collided[: last + 1]
    return None if None in steps else any(steps)


def _collisions(episode: ReplayEpisode, index: int, waypoints: np.ndarray) -> list[bool | None]:
    """Per waypoint: the footprint there holds something of what the record saw at that time."""
    pose = episode.frames[index].observation.pose
    headings = _headings(waypoints)
    found: list[bool | None] = []
    for k, (waypoint, heading) in enumerate(zip(waypoints, headings)):
        then = index + round((k + 1) * _STEP_S / episode.period_s)
        if pose is None or then >= len(episode.frames):
            found.append(None)
            continue
        place = ego_to_local(waypoint, pose)
        there = Pose(float(place[0]), float(place[1]), pose.yaw + heading)
        found.append(_holds(episode.ego, there, episode.obstacles(then)))
    return found


def _holds(ego: EgoShape, pose: Pose, points: np.ndarray) -> bool:
    near = (
        points[np.hypot(*(points - (pose.x, pose.y)).T) < ego.length_m] if len(points) else points
    )
    inside = np.abs(local_to_ego(near, pose) - (ego.ahead_m, 0.0))
    return bool((inside < (ego.length_m / 2, ego.width_m / 2)).all(axis=-1).any())


def _headings(waypoints: np.ndarray) -> list[float]:
    heading, before, found = 0.0, np.zeros(2), []
    for waypoint in waypoints:
        step = waypoint - before
        if float(np.hypot(*step)) > _TURNS_M:
            heading, before = math.atan2(step[1], step[0]), waypoint
        found.append(heading)
    return found


def _lateral(point: np.ndarray, route: np.ndarray) -> float:
    """Distance of a point from a polyline [n, 2]."""
    start, step = route[:-1], np.diff(route, axis=0)
    length = np.maximum(np.sum(step * step, axis=1), 1e-9)
    along = np.clip(np.sum((point - start) * step, axis=1) / length, 0.0, 1.0)
    return float(np.hypot(*(start + along[:, None] * step - point).T).min())


def _item(values: list[float] | None, index: int) -> float | None:
    return None if values is None else values[index]
