"""Intervals over routes, and tests of pairs. All 95 %; draws are seeded, so figures repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Interval = tuple[float, float]

_DRAWS = 4000


def wilson_interval(hits: int, trials: int) -> Interval:
    """Wilson's 95 % interval of a rate."""
    z, rate = 1.96, hits / trials
    scale = 1.0 + z * z / trials
    middle = (rate + z * z / (2 * trials)) / scale
    half = z * math.sqrt(rate * (1.0 - rate) / trials + z * z / (4 * trials * trials)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap_mean(values: Sequence[float]) -> Interval:
    """95 % bootstrap interval of a mean."""
    array = np.asarray(values, dtype=np.float64)
    return bootstrap(len(array), lambda chosen: array[chosen].mean(axis=-1))


def bootstrap_ratio(above: Sequence[float], below: Sequence[float]) -> Interval:
    """95 % bootstrap interval of sum / sum over units that are drawn together (infractions per km).

    Draws with nothing below, as rare events have them, say nothing and do not count. 0 where all are so.
    """
    top, bottom = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    if bottom.sum() <= 0.0:
        return 0.0, 0.0

    def ratio(chosen: np.ndarray) -> np.ndarray:
        sums = bottom[chosen].sum(axis=-1)
        known = sums > 0.0
        return np.divide(top[chosen].sum(axis=-1)[known], sums[known])

    return bootstrap(len(top), ratio)


def bootstrap(units: int, figure: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """95 % interval of a figure of units drawn with replacement; `figure` maps indices [d, n] to [<=d]."""
    chosen = np.random.default_rng(0).integers(0, units, (_DRAWS, units))
    low, high = np.quantile(figure(chosen), (0.025, 0.975))
    return float(low), float(high)


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact probability of so uneven a split of pairs that differ: McNemar's exact test."""
    trials = wins + losses
    if trials == 0:
        return 1.0
    fewer = min(wins, losses)
    tail = sum(math.comb(trials, k) for k in range(fewer + 1)) / 2.0**trials
    return min(1.0, 2.0 * tail)


def rounded(interval: Interval, digits: int = 4) -> list[float]:
    """An interval as JSON keeps it."""
    return [round(value, digits) for value in interval]
