"""The charts of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from automot_client.reporting.record import RunRecord
from automot_client.reporting.svg import Chart

_MAX_POINTS = 1600
_LABELLED_EPISODES = 5
_SOFT_S, _HARD_S = 0.5, 1.0
ACTIONS = ("STOP", "SLOW", "KEEP", "ACCELERATE", "UNPARSED")


def latency_histogram(
    values: Sequence[float], period_ms: float | None, css: str, title: str
) -> str:
    """Histogram of latencies in milliseconds with p50, p99, maximum and the loop's period."""
    if not values:
        return ""
    p50, p99 = (float(np.percentile(values, p)) for p in (50, 99))
    limit = max(p99 * 1.35, p50 * 2, min(period_ms or 0.0, p99 * 3)) or 1.0
    counts, edges = np.histogram(np.minimum(values, limit), bins=60, range=(0.0, limit))
    chart = Chart(
        (0.0, limit), (0.0, float(counts.max()) * 1.3), width=460, height=190, x_label="ms"
    )
    chart.axes()
    for count, left, right in zip(counts, edges[:-1], edges[1:]):
        if count:
            chart.span(
                left,
                right,
                f"bar {css}",
                0.0,
                float(count),
                f"{left:.1f} to {right:.1f} ms: {count}",
            )
    chart.marker(p50, "strong", f"p50 {p50:.1f}", 0)
    chart.marker(p99, "strong", f"p99 {p99:.1f}, max {max(values):.1f}", 1)
    if period_ms is not None and period_ms <= limit:
        chart.marker(period_ms, "warn", f"period {period_ms:g}", 2)
    return chart.svg(title)


def staleness_chart(record: RunRecord) -> str:
    """Staleness of the context used, over simulated time, with the limits."""
    series = _series(record, lambda tick: tick["plan"] and tick["plan"]["staleness_s"])
    highest = max([value for value in series[1] if value is not None], default=0.0)
    chart = _time_chart(record, (0.0, max(1.2, highest * 1.1)), "staleness, s", 190)
    chart.axes()
    chart.level(_SOFT_S, "warn", "soft: STALE")
    chart.level(_HARD_S, "bad", "hard: EXPIRED", from_right=110)
    for event in record.run["events"]:
        chart.marker(event["at_s"], "bad", event["what"])
    chart.line(*series, "c-context")
    return chart.svg("staleness over time")


def version_chart(record: RunRecord) -> str:
    """Version of the snapshot used; starts again at each epoch and episode."""
    series = _series(record, _version)
    highest = max([value for value in series[1] if value is not None], default=1.0)
    chart = _time_chart(record, (0.0, max(2.0, highest * 1.1)), "snapshot version used", 150)
    chart.axes()
    chart.line(*series, "c-version", step=True)
    return chart.svg("snapshot version over time")


def latency_chart(record: RunRecord) -> str:
    """Planning latency over simulated time."""
    series = _series(record, lambda tick: tick["latency_ms"])
    values = [value for value in series[1] if value is not None]
    top = max(float(np.percentile(values, 99.5)) * 1.3, 1.0) if values else 1.0
    chart = _time_chart(record, (0.0, top), "planning latency, ms", 150)
    chart.axes()
    chart.level(record.tick_s * 1e3, "warn", "tick")
    chart.line(*series, "c-planning")
    return chart.svg("planning latency over time")


def speed_chart(record: RunRecord) -> str:
    """Speed of the vehicle over simulated time."""
    series = _series(record, lambda tick: tick["speed_mps"])
    highest = max([value for value in series[1] if value is not None], default=1.0)
    chart = _time_chart(record, (0.0, max(2.0, highest * 1.15)), "speed, m/s", 130)
    chart.axes(y_count=3)
    chart.line(*series, "c-speed")
    return chart.svg("speed over time")


def completion_chart(record: RunRecord) -> str:
    """Route completion over simulated time, with how each episode ended."""
    chart = _time_chart(record, (0.0, 1.0), "share of the route", 130)
    chart.axes(y_count=3)
    for episode in record.run["episodes"]:
        ticks = [tick for tick in record.ticks if tick["episode"] == episode["number"]]
        stretch = max(1, len(record.ticks) // _MAX_POINTS)
        times = [tick["tick"] * record.tick_s for tick in ticks[::stretch]]
        chart.line(times, [tick["route_completion"] for tick in ticks[::stretch]], "c-completion")
        if episode["end"] != "time_up":
            css = "good" if episode["end"] == "arrived" else "bad"
            few = len(record.run["episodes"]) <= _LABELLED_EPISODES
            chart.marker(episode["end_s"], css, episode["end"].replace("_", " ") if few else "")
    return chart.svg("route completion over time")


def decision_chart(record: RunRecord) -> str:
    """First slot of both decisions and every reason, as rows of coloured spans."""
    reasons = sorted({reason for plan in record.plans for reason in plan["reasons"]})
    rows: list[tuple[str, Callable[[dict[str, Any]], str | None], Callable[[str], str]]] = [
        ("tick", lambda tick: _first_action(tick, "decision"), lambda word: f"act-{word.lower()}"),
        (
            "context",
            lambda tick: _first_action(tick, "context_decision"),
            lambda word: f"act-{word.lower()}",
        ),
    ]
    for reason in reasons:
        rows.append((_short(reason), _has_reason(reason), lambda word: "reason"))
    chart = _time_chart(record, (0.0, float(len(rows))), "", 42 + 24 * len(rows))
    chart.axes(y_ticks=False)
    for number, (name, value_of, css_of) in enumerate(rows):
        base = len(rows) - 1 - number
        chart.row_label(base + 0.5, name)
        for begin, end, word in _spans(record, value_of):
            chart.span(
                begin,
                end,
                css_of(word),
                base + 0.14,
                base + 0.86,
                f"{name}: {word}, {begin:.2f} to {end:.2f} s",
            )
    return chart.svg("decisions and reasons over time")


def _time_chart(record: RunRecord, y_range: tuple[float, float], label: str, height: int) -> Chart:
    end = max(len(record.ticks) * record.tick_s, record.tick_s)
    chart = Chart((0.0, end), y_range, height=height, x_label="simulated s", y_label=label)
    for begin_s, end_s, what in record.fault_spans:
        chart.span(begin_s, end_s, "fault", title=f"{what}, {begin_s:g} to {end_s:g} s")
    for episode in record.run["episodes"][:-1]:
        chart.marker(episode["end_s"], "episode")
    return chart


def _series(
    record: RunRecord, value_of: Callable[[dict[str, Any]], float | None]
) -> tuple[list[float], list[float | None]]:
    """Times and values; where there are too many, the largest of each stretch."""
    stretch = max(1, len(record.ticks) // _MAX_POINTS)
    times: list[float] = []
    values: list[float | None] = []
    for start in range(0, len(record.ticks), stretch):
        found = [value_of(tick) for tick in record.ticks[start : start + stretch]]
        known = [value for value in found if value is not None]
        times.append(start * record.tick_s)
        values.append(max(known) if known else None)
    return times, values


def _version(tick: dict[str, Any]) -> float | None:
    return (tick["plan"]["snapshot"]["version"] or None) if tick["plan"] else None


def _first_action(tick: dict[str, Any], key: str) -> str | None:
    slots = tick["plan"][key] if tick["plan"] else []
    return slots[0]["action"] if slots else None


def _has_reason(reason: str) -> Callable[[dict[str, Any]], str | None]:
    return lambda tick: reason if tick["plan"] and reason in tick["plan"]["reasons"] else None


def _short(reason: str) -> str:
    words = {
        "ROUTE_CHANGED": "route",
        "SHORT_HISTORY": "history",
        "CONTEXT_FROM_FUTURE": "future",
        "MODALITY_SKEW": "skew",
        "NO_CONTEXT": "no ctx",
        "HALF_SWEEP": "half",
        "TIME_JUMP": "jump",
    }
    return words.get(reason, reason.lower().replace("_", " "))


def _spans(
    record: RunRecord, value_of: Callable[[dict[str, Any]], str | None]
) -> list[tuple[float, float, str]]:
    spans: list[tuple[float, float, str]] = []
    for index, tick in enumerate(record.ticks):
        word = value_of(tick)
        if word is None:
            continue
        begin, end = index * record.tick_s, (index + 1) * record.tick_s
        if spans and spans[-1][2] == word and abs(spans[-1][1] - begin) < 1e-6:
            spans[-1] = (spans[-1][0], end, word)
        else:
            spans.append((begin, end, word))
    return spans
