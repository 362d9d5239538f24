"""How long plans took at the service, of wall time: what a simulated clock leaves out of all else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from automot_client.evaluation.statistics import bootstrap_mean, rounded
from automot_client.types import Plan

NAMES = ("plan_ms_median", "plan_ms_p95")


def plan_ms(plan: Plan) -> list[float]:
    """Milliseconds from the request's arrival to the answer, waiting for a context included."""
    return [round(1e3 * plan.stage_seconds["total"], 2)] if "total" in plan.stage_seconds else []


def of_one_drive(times_ms: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile; nothing where no time is known."""
    if not times_ms:
        return {}
    return dict(zip(NAMES, np.round(np.percentile(times_ms, (50, 95)), 2).tolist()))


def of_all(drives: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Means over the drives that know theirs, with intervals."""
    found: dict[str, Any] = {}
    known = [drive for drive in drives if NAMES[0] in drive]
    for name in NAMES if known else ():
        values = [float(drive[name]) for drive in known]
        found[name] = round(float(np.mean(values)), 2)
        found[f"{name}_interval"] = rounded(bootstrap_mean(values), 2)
    return found
