"""The static scene as plain arrays: lane surfaces, painted markings and kerbs.

Built once per episode from the simulator's lanes; the camera, the LiDAR and the bird's-eye view all
draw from it. Nothing here knows the simulator.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

KERB_HEIGHT_M = 0.4
STRIPE_LENGTH_M = 1.5
LINE_WIDTH_M = 0.15
_SAMPLE_SPACING_M = 3.0


class LineKind(enum.Enum):
    """How a lane border is marked."""

    NONE = "none"
    BROKEN = "broken"
    CONTINUOUS = "continuous"
    SIDE = "side"


@dataclass(frozen=True)
class LaneBorder:
    """One border of a lane: polyline [n, 2] in metres, local frame."""

    points: np.ndarray
    kind: LineKind
    yellow: bool


@dataclass(frozen=True)
class LaneShape:
    """One lane: left and right border polylines with equal numbers of points."""

    left: LaneBorder
    right: LaneBorder


@dataclass(frozen=True)
class RoadMap:
    """Quads [n, 4, 2] and segments [n, 2, 2] in the local frame, metres.

    `markings_yellow` says per marking quad whether it is yellow (else white). `kerbs` are the outer
    road borders, which stand `KERB_HEIGHT_M` above the ground; `kerb_out` [n, 2] is the unit normal of
    each kerb that points away from the road.
    """

    surfaces: np.ndarray
    markings: np.ndarray
    markings_yellow: np.ndarray
    kerbs: np.ndarray
    kerb_out: np.ndarray

    @staticmethod
    def from_lanes(lanes: Iterable[LaneShape]) -> RoadMap:
        """Builds the scene of a set of lanes."""
        surfaces: list[np.ndarray] = []
        markings: list[np.ndarray] = []
        yellow: list[np.ndarray] = []
        kerbs: list[np.ndarray] = []
        outward: list[np.ndarray] = []
        for lane in lanes:
            surfaces.append(_strip_quads(lane.left.points, lane.right.points))
            for border, other in ((lane.left, lane.right), (lane.right, lane.left)):
                quads = _marking_quads(border)
                markings.append(quads)
                yellow.append(np.full(len(quads), border.yellow))
                if border.kind is LineKind.SIDE:
                    kerbs.append(np.stack([border.points[:-1], border.points[1:]], axis=1))
                    outward.append(_outward_normals(border.points, other.points))
        return RoadMap(
            surfaces=_join(surfaces, (0, 4, 2)),
            markings=_join(markings, (0, 4, 2)),
            markings_yellow=_join(yellow, (0,)).astype(bool),
            kerbs=_join(kerbs, (0, 2, 2)),
            kerb_out=_join(outward, (0, 2)),
        )


def sample_positions(length: float) -> np.ndarray:
    """Longitudinal positions [n] in metres at which a lane of that length is sampled."""
    return np.linspace(0.0, length, max(2, int(np.ceil(length / _SAMPLE_SPACING_M)) + 1))


def _join(parts: list[np.ndarray], empty_shape: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(empty_shape)


def _strip_quads(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)


def _normals(points: np.ndarray) -> np.ndarray:
    tangent = np.diff(points, axis=0)
    tangent = tangent / np.maximum(np.hypot(tangent[:, 0], tangent[:, 1])[:, None], 1e-9)
    return np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)


def _outward_normals(points: np.ndarray, other: np.ndarray) -> np.ndarray:
    normals = _normals(points)
    inward = np.sum(normals * (other[:-1] - points[:-1]), axis=1)
    return np.where(inward[:, None] > 0, -normals, normals)


def _marking_quads(border: LaneBorder) -> np.ndarray:
    if border.kind is LineKind.NONE:
        return np.zeros((0, 4, 2))
    points = border.points
    if border.kind is LineKind.BROKEN:
        starts, ends = _dashes(points)
    else:
        starts, ends = points[:-1], points[1:]
    tangent = ends - starts
    norm = np.hypot(tangent[:, 0], tangent[:, 1])[:, None]
    side = (
        np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
        / np.maximum(norm, 1e-9)
        * LINE_WIDTH_M
        / 2
    )
    return np.stack([starts - side, ends - side, ends + side, starts + side], axis=1)


def _dashes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    starts = np.arange(0.0, max(s[-1] - STRIPE_LENGTH_M, 0.0) + 1e-6, 2 * STRIPE_LENGTH_M)
    ends = np.minimum(starts + STRIPE_LENGTH_M, s[-1])

    def at(where: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(where, s, points[:, i]) for i in (0, 1)], axis=1)

    return at(starts), at(ends)
