"""The numbers of a run, as report.json holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from automot_client.reporting.chaos import summarize_chaos
from automot_client.reporting.record import RunRecord

Numbers = dict[str, float | None]


def percentiles(
    values: Sequence[float], wanted: Sequence[float] = (50, 99), with_max: bool = True
) -> Numbers:
    """{p50, p99, max} with linear interpolation between ranks; None for each where there is no value."""
    names = [f"p{p:g}" for p in wanted]
    if not values:
        return dict.fromkeys(names + (["max"] if with_max else []))
    result: Numbers = {
        name: round(float(np.percentile(values, p)), 4) for name, p in zip(names, wanted)
    }
    if with_max:
        result["max"] = round(float(max(values)), 4)
    return result


def summarize(record: RunRecord) -> dict[str, Any]:
    """Every key of report.json."""
    run = record.run
    simulated_s = len(record.ticks) * record.tick_s
    return {
        "weights": "trained" if run["server"]["weights_trained"] else "untrained",
        "model_revision": run["server"]["model_revision"],
        "lane": run["server"]["lane"],
        "pace": run["options"]["pace"],
        "pace_factor": round(simulated_s / run["wall_s"], 3) if run["wall_s"] else None,
        "ticks": len(record.ticks),
        "missed_ticks": run["missed_ticks"],
        "planning_rate_achieved_hz": _rate(len(record.ticks), run["wall_s"]),
        "reasoning_rate_achieved_hz": _rate(len(record.refreshes), simulated_s),
        "simulated_seconds": round(simulated_s, 3),
        **_answers(record),
        **_driving(record),
        **_timing(record),
        "target_point_rule": run["options"]["target_point_rule"],
        "planning_rate_hz": run["options"]["planning_rate_hz"],
        "reasoning_rate_hz": run["options"]["reasoning_rate_hz"],
        "events": run["events"],
        "chaos": summarize_chaos(record.folder),
    }


def _answers(record: RunRecord) -> dict[str, Any]:
    plans = record.plans
    reasons = Counter(reason for plan in plans for reason in plan["reasons"])
    agreement = Counter(plan["decision_agreement"] for plan in plans)
    return {
        "plans_failed": len(record.ticks) - len(plans),
        "plans_flagged": sum(1 for plan in plans if plan["reasons"]),
        "plans_fallback": reasons.get("FALLBACK", 0),
        "reasons": dict(sorted(reasons.items())),
        "decisions_agree": agreement.get("AGREE", 0),
        "decisions_disagree": agreement.get("DISAGREE", 0),
    }


def _driving(record: RunRecord) -> dict[str, Any]:
    """Route completion is the mean over finished episodes; over all where none was finished."""
    episodes = record.run["episodes"]
    finished = [episode for episode in episodes if episode["end"] != "time_up"]
    ends = Counter(episode["end"] for episode in episodes)
    return {
        "route_completion": _mean([e["route_completion"] for e in finished or episodes]),
        "episodes": len(episodes),
        "episodes_finished": len(finished),
        "episode_ends": dict(sorted(ends.items())),
        "collisions": _count(episodes, "crash"),
        "off_road": _count(episodes, "off_road"),
        "arrived": ends.get("arrived", 0),
        "lateral_error_rms_m": _rms([tick["lateral_error_m"] for tick in record.ticks]),
    }


def _timing(record: RunRecord) -> dict[str, Any]:
    plans = record.plans
    snapshots = {
        _snapshot_key(plan["snapshot"]) for plan in plans if plan["snapshot"]["version"] > 0
    }
    return {
        "planning_ms": percentiles([tick["latency_ms"] for tick in record.ticks if tick["plan"]]),
        "reasoning_ms": percentiles([r["refresh_s"] * 1e3 for r in record.refreshes]),
        "staleness_s": percentiles(
            [p["staleness_s"] for p in plans if p["staleness_s"] is not None]
        ),
        "snapshots_used": len(snapshots),
        "epochs_used": len({(episode, epoch) for episode, epoch, _ in snapshots}),
    }


def text_summary(summary: dict[str, Any]) -> str:
    """A few lines for the terminal."""
    planning, staleness = summary["planning_ms"], summary["staleness_s"]
    lines = [
        f"{summary['ticks']} ticks, {summary['simulated_seconds']:g} simulated seconds at "
        f"{summary['pace_factor']}x real time, lane {summary['lane']}",
        f"plans: {summary['plans_failed']} failed, {summary['plans_flagged']} flagged, "
        f"{summary['plans_fallback']} by fallback; planning p50 {planning['p50']} ms, "
        f"p99 {planning['p99']} ms, max {planning['max']} ms",
        f"context: {summary['snapshots_used']} snapshots used, staleness p50 {staleness['p50']} s, "
        f"p99 {staleness['p99']} s, max {staleness['max']} s",
        f"driving: {summary['episodes']} episodes, route completion {summary['route_completion']}, "
        f"{summary['collisions']} collisions, {summary['off_road']} off road",
    ]
    if summary["chaos"]:
        chaos = summary["chaos"]
        lines.append(
            f"chaos of seed {chaos['seed']}: {sum(chaos['injected'].values())} faults injected, "
            f"{sum(chaos['refused'].values())} snapshots refused, "
            f"{summary['plans_failed']} plans failed"
        )
    if summary["weights"] == "untrained":
        lines.append(
            "WEIGHTS ARE UNTRAINED: the trajectories mean nothing, only the machinery is shown."
        )
    return "\n".join(lines)


def _count(episodes: list[dict[str, Any]], kind: str) -> int:
    return sum(episode["end"].startswith(kind) for episode in episodes)


def _snapshot_key(snapshot: dict[str, Any]) -> tuple[int, int, int]:
    return snapshot["episode"], snapshot["epoch"], snapshot["version"]


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 2) if seconds else None


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def _rms(values: Sequence[float]) -> float | None:
    return round(float(np.sqrt(np.mean(np.square(values)))), 4) if values else None
