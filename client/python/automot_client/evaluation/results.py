"""The figures of a closed-loop run over its routes, as results.json keeps them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automot_client.evaluation import plan_times
from automot_client.evaluation.scoring import COLLISIONS, PENALTIES, RouteResult
from automot_client.evaluation.statistics import (
    bootstrap_mean,
    bootstrap_ratio,
    rounded,
    wilson_interval,
)

FORMAT = "automot-closed-loop-results"
VERSION = 1


def summarise(routes: Sequence[RouteResult], settings: dict[str, Any]) -> dict[str, Any]:
    """Every key of results.json; `X_interval` is the 95 % interval of X. ValueError without a route."""
    if not routes:
        raise ValueError("no route is driven: there is nothing to sum up")
    kilometres = [route.driven_m / 1e3 for route in routes]
    figures: dict[str, Any] = {"format": FORMAT, "version": VERSION, "settings": settings}
    figures["routes"] = len(routes)
    successes = sum(route.success for route in routes)
    figures["success_rate"] = round(successes / len(routes), 4)
    figures["success_rate_interval"] = rounded(wilson_interval(successes, len(routes)))
    _add_mean(figures, "route_completion", [route.route_completion for route in routes])
    _add_mean(figures, "driving_score", [route.driving_score for route in routes])
    collisions = [sum(route.infractions.get(kind, 0) for kind in COLLISIONS) for route in routes]
    _add_per_km(figures, "collisions_per_km", collisions, kilometres)
    figures["infractions_per_km"] = {}
    for kind in PENALTIES:
        counts = [route.infractions.get(kind, 0) for route in routes]
        if sum(counts):
            _add_per_km(figures["infractions_per_km"], kind, counts, kilometres)
    _add_mean(figures, "lateral_rms_m", [route.lateral_rms_m for route in routes])
    _add_mean(figures, "mean_speed_mps", [r.driven_m / max(r.seconds, 1e-9) for r in routes])
    figures["comfort"] = _comfort(routes)
    figures["driven_km"] = round(sum(kilometres), 3)
    figures["outcomes"] = dict(sorted(Counter(route.outcome for route in routes).items()))
    figures["plans"] = _plans(routes)
    figures["per_route"] = [
        {
            "seed": route.seed,
            "outcome": route.outcome,
            "success": route.success,
            "route_completion": route.route_completion,
            "driving_score": round(route.driving_score, 4),
            "seconds": route.seconds,
            "collisions": collided,
        }
        for route, collided in zip(routes, collisions)
    ]
    return figures


def read_results(path: Path) -> dict[str, Any]:
    """A results.json, or the one of a run's folder. ValueError where it is something else."""
    path = path / "results.json" if path.is_dir() else path
    found: dict[str, Any] = json.loads(path.read_text())
    if (found.get("format"), found.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"{path}: is not {FORMAT} version {VERSION}")
    return found


def text_summary(figures: dict[str, Any]) -> str:
    """A few lines for the terminal."""
    lines = [f"{figures['routes']} routes, {figures['driven_km']:.1f} km"]
    for name, scale, unit in (
        ("success_rate", 100, " %"),
        ("route_completion", 100, " %"),
        ("driving_score", 100, ""),
        ("collisions_per_km", 1, ""),
        ("lateral_rms_m", 1, " m"),
    ):
        low, high = figures[f"{name}_interval"]
        lines.append(
            f"  {name:18} {figures[name] * scale:7.2f}{unit}  "
            f"[{low * scale:.2f}, {high * scale:.2f}]"
        )
    lines.append(f"  ends: {', '.join(f'{k} {v}' for k, v in figures['outcomes'].items())}")
    return "\n".join(lines)


def _comfort(routes: Sequence[RouteResult]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted({name for route in routes for name in route.comfort}):
        _add_mean(found, name, [route.comfort[name] for route in routes if name in route.comfort])
    return found


def _plans(routes: Sequence[RouteResult]) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    for route in routes:
        reasons.update(route.plans.get("reasons", {}))
    ages = [route.plans.get("staleness_mean_s", 0.0) for route in routes]
    return {
        "ticks": sum(route.plans.get("ticks", 0) for route in routes),
        "reasons": dict(sorted(reasons.items())),
        "staleness_mean_s": round(float(np.mean(ages)), 4),
    } | plan_times.of_all(route.plans for route in routes)


def _add_mean(figures: dict[str, Any], name: str, values: Sequence[float]) -> None:
    figures[name] = round(float(np.mean(values)), 4)
    figures[f"{name}_interval"] = rounded(bootstrap_mean(values))


def _add_per_km(
    figures: dict[str, Any], name: str, counts: Sequence[int], kilometres: Sequence[float]
) -> None:
    figures[name] = round(sum(counts) / max(sum(kilometres), 1e-9), 4)
    figures[f"{name}_interval"] = rounded(bootstrap_ratio(counts, kilometres))
