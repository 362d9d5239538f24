"""Percentiles, ratios between interleaved runs, and what may be concluded from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

COVERAGE = 0.95

PASS, FAIL, UNRESOLVED = "PASS", "FAIL", "NOT RESOLVABLE HERE"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    if not values:
        raise ValueError("percentile of nothing")
    rank = max(1, math.ceil(share * len(values)))
    return sorted(values)[rank - 1]


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The narrowest interval of order statistics that covers the median with at least COVERAGE.

    With too few values for that (fewer than six) it is the whole line: nothing can be concluded.
    """
    ordered = sorted(values)
    count = len(ordered)
    tail, drop = 0.0, 0
    for below in range(count // 2):
        tail += math.comb(count, below) / 2**count
        if 2 * tail > 1 - COVERAGE:
            break
        drop = below + 1
    if drop == 0:
        return -math.inf, math.inf
    return ordered[drop - 1], ordered[count - drop]


@dataclass(frozen=True)
class Verdict:
    """A target and whether the rounds settle it. `ratio` above `target` is what is wanted."""

    name: str
    target: float
    ratio: float
    low: float
    high: float
    bias: float
    outcome: str


def judge(
    name: str, target: float, ratios: Sequence[float], control: Sequence[float] = ()
) -> Verdict:
    """`ratios` and the A/A `control` hold one ratio a round.

    Where the control's interval excludes 1, measuring the same thing twice differed by at least that
    much: the interval of the ratio is widened by it.
    """
    low, high = median_interval(ratios)
    bias = 1.0
    if control:
        control_low, control_high = median_interval(control)
        bias = max(1.0, control_low, 1 / control_high if control_high > 0 else 1.0)
    low, high = low / bias, high * bias
    outcome = PASS if low >= target else FAIL if high < target else UNRESOLVED
    return Verdict(name, target, median(ratios), low, high, bias, outcome)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right, padded for a terminal."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = [("-" * width if i == 0 else "-" * (width - 1) + ":") for i, width in enumerate(widths)]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])
