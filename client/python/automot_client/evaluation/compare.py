"""Compares two closed-loop runs on the seeds that both drove, pair by pair."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from automot_client.evaluation.results import read_results
from automot_client.evaluation.statistics import bootstrap_mean, rounded, sign_test

_FIGURES = ("success", "route_completion", "driving_score", "collisions")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `automot-eval compare` takes."""
    parser.add_argument("first", type=Path, metavar="A", help="results.json, or a run's folder")
    parser.add_argument("second", type=Path, metavar="B", help="the one that it is compared with")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")


def run(options: argparse.Namespace) -> int:
    """Entry point; 2 where the runs cannot be compared."""
    try:
        found = compare(read_results(options.first), read_results(options.second))
    except (OSError, ValueError) as error:
        print(f"automot-eval compare: {error}", file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(text(found))
    return 0


def compare(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Differences A - B over common seeds. ValueError where no seed is common or the worlds differ."""
    for name in ("density", "accidents"):
        one, other = first["settings"].get(name), second["settings"].get(name)
        if one != other:
            raise ValueError(f"{name} differs: {one} and {other}; seeds are then other scenes")
    a, b = ({route["seed"]: route for route in run["per_route"]} for run in (first, second))
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise ValueError("no seed is in both runs")
    figures: dict[str, Any] = {"pairs": len(seeds)}
    for name in _FIGURES:
        pairs = np.array([(a[seed][name], b[seed][name]) for seed in seeds], dtype=np.float64)
        difference = pairs[:, 0] - pairs[:, 1]
        better, worse = int((difference > 0).sum()), int((difference < 0).sum())
        figures[name] = {
            "a": round(float(pairs[:, 0].mean()), 4),
            "b": round(float(pairs[:, 1].mean()), 4),
            "difference": round(float(difference.mean()), 4),
            "difference_interval": rounded(bootstrap_mean(difference.tolist())),
            "a_higher": better,
            "b_higher": worse,
            "p_value": round(sign_test(better, worse), 5),
        }
    return figures


def text(figures: dict[str, Any]) -> str:
    """The table for the terminal."""
    lines = [f"{figures['pairs']} pairs; A - B with its 95 % interval; sign test of unequal pairs"]
    for name in _FIGURES:
        one = figures[name]
        low, high = one["difference_interval"]
        lines.append(
            f"  {name:17} A {one['a']:.3f}  B {one['b']:.3f}  {one['difference']:+.3f} "
            f"[{low:+.3f}, {high:+.3f}]  A higher {one['a_higher']}, B higher {one['b_higher']}, "
            f"p {one['p_value']:.3f}"
        )
    return "\n".join(lines)
