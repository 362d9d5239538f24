"""What lies along a route: per road its kind of block and the lanes beside the route's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from automot_client.bridge.route import Lane, LaneChoice

JUNCTIONS = "XTO"


@dataclass(frozen=True)
class RouteRoad:
    """A stretch of the route, arc lengths in metres.

    block: letter of MetaDrive's block: S straight, C curve, X and T intersections, O roundabout, r and R
    ramps, I the start. lanes_left and lanes_right: lanes of the same direction beside all that the
    route uses here.
    """

    begin_m: float
    end_m: float
    block: str
    lanes_left: int
    lanes_right: int


def route_roads(
    roads: Sequence[Sequence[Lane]], choices: Sequence[LaneChoice], end_nodes: Sequence[str]
) -> list[RouteRoad]:
    """The stretches of a route in order. Lane 0 is the leftmost of a road."""
    found, begin = [], 0.0
    for road, choice, node in zip(roads, choices, end_nodes):
        used = (choice.enter, choice.leave)
        end = begin + float(road[choice.enter].length)
        left, right = min(used), len(road) - 1 - max(used)
        found.append(RouteRoad(begin, end, block_letter(node), left, right))
        begin = end
    return found


def block_letter(node: str) -> str:
    """The letter of the block that a road node belongs to; `I` for the nodes of the start."""
    match = re.match(r"-*\d+([A-Za-z$])", node)
    return match[1] if match else "I"
