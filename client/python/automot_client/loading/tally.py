"""What came of the plans that were asked for."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np

from automot_client.types import Plan


class Tally:
    """Counts of outcomes and lists of durations. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._from_intended_s: list[float] = []
        self._from_sent_s: list[float] = []
        self._staleness_s: list[float] = []
        self._failures: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._unsent = 0

    def answered(self, plan: Plan, intended_s: float, sent_s: float, done_s: float) -> None:
        """A plan came; times are of one clock."""
        with self._lock:
            self._from_intended_s.append(done_s - intended_s)
            self._from_sent_s.append(done_s - sent_s)
            self._reasons.update(plan.reasons)
            if plan.staleness_s is not None:
                self._staleness_s.append(plan.staleness_s)

    def failed(self, code: str) -> None:
        """A request ended with a status."""
        with self._lock:
            self._failures[code] += 1

    def unsent(self, count: int) -> None:
        """Ticks whose turn never came, because answers took too long or the session ended."""
        with self._lock:
            self._unsent += count

    def summary(self) -> dict[str, Any]:
        """The counts and percentiles, ready for JSON."""
        with self._lock:
            return {
                "answered": len(self._from_sent_s),
                "failed": dict(self._failures),
                "unsent": self._unsent,
                "reasons": dict(self._reasons),
                "from_intended_ms": percentiles(self._from_intended_s, 1e3),
                "from_sent_ms": percentiles(self._from_sent_s, 1e3),
                "staleness_s": percentiles(self._staleness_s, 1.0),
            }


def percentiles(values: list[float], scale: float) -> dict[str, float] | None:
    """p50, p90, p99 and max (values that occurred, none interpolated); None for no values."""
    if not values:
        return None
    array = np.asarray(values) * scale
    p50, p90, p99 = np.percentile(array, [50, 90, 99], method="inverted_cdf")
    named = {"p50": p50, "p90": p90, "p99": p99, "max": array.max()}
    return {name: round(float(value), 3) for name, value in named.items()}
