"""What happened on a route: a line per tick where asked for, and the counts in any case."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

from automot_client.loading.tally import percentiles
from automot_client.types import Plan


class TickLog:
    """Log of one route. Not thread-safe. Close it."""

    def __init__(self, file: Path | None) -> None:
        """file: JSON Lines, made anew; None keeps counts only."""
        self._lines: TextIO | None = None
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._lines = file.open("w", encoding="utf-8")
        self._ticks = 0
        self._stops: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._plans_s: list[float] = []
        self._staleness_s: list[float] = []

    def add(self, record: dict[str, Any], plan: Plan | None, stop: str, plan_s: float) -> None:
        """One tick: `stop` is why it was not driven by a plan, empty where it was."""
        self._ticks += 1
        if stop:
            self._stops[stop.partition(":")[0]] += 1
        if plan is not None:
            self._plans_s.append(plan_s)
            self._reasons.update(plan.reasons)
            if plan.staleness_s is not None:
                self._staleness_s.append(plan.staleness_s)
            record = {
                **record,
                "plan_ms": round(plan_s * 1e3, 3),
                "reasons": sorted(plan.reasons),
                "staleness_s": plan.staleness_s,
                "snapshot_version": plan.snapshot.version,
            }
        self._write(record)

    def summary(self) -> dict[str, Any]:
        """The counts so far, ready for JSON."""
        return {
            "ticks": self._ticks,
            "planned": len(self._plans_s),
            "stops": dict(self._stops),
            "reasons": dict(self._reasons),
            "plan_ms": percentiles(self._plans_s, 1e3),
            "staleness_s": percentiles(self._staleness_s, 1.0),
        }

    def close(self) -> None:
        """Ends the file with the summary; closing twice is fine."""
        if self._lines is not None:
            self._write({"summary": self.summary()})
            self._lines.close()
            self._lines = None

    def _write(self, record: dict[str, Any]) -> None:
        if self._lines is not None:
            self._lines.write(json.dumps(record) + "\n")
