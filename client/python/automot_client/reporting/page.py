"""The page: one HTML file that needs nothing else."""

from __future__ import annotations

import html
import string
from collections.abc import Sequence
from importlib import resources
from typing import Any

from automot_client.reporting import figures, palette
from automot_client.reporting.record import RunRecord
from automot_client.reporting.summary import percentiles
from automot_client.reporting.video import EmbeddedVideo


def render(record: RunRecord, summary: dict[str, Any], video: EmbeddedVideo | None) -> str:
    """The whole page."""
    files = resources.files("automot_client.reporting")
    template = string.Template((files / "page.html").read_text())
    period = 1e3 / summary["planning_rate_hz"]
    planning = [tick["latency_ms"] for tick in record.ticks if tick["plan"]]
    reasoning = [refresh["refresh_s"] * 1e3 for refresh in record.refreshes]
    return template.substitute(
        style=(files / "page.css").read_text(),
        banner=_banner(summary),
        subtitle=_subtitle(record, summary),
        tiles=_tiles(summary),
        video=_video(video),
        legend=_legend(),
        planning_histogram=figures.latency_histogram(
            planning, period, "b-planning", "planning latency"
        ),
        reasoning_histogram=figures.latency_histogram(
            reasoning, 1e3 / summary["reasoning_rate_hz"], "b-context", "reasoning latency"
        )
        or '<p class="quiet">No refresh times: the run had no reasoning address.</p>',
        planning_rate=f"{summary['planning_rate_hz']:g}",
        reasoning_rate=f"{summary['reasoning_rate_hz']:g}",
        planning_achieved=_achieved(summary["planning_rate_achieved_hz"], ""),
        reasoning_achieved=_achieved(summary["reasoning_rate_achieved_hz"], " in session time"),
        staleness=figures.staleness_chart(record),
        versions=figures.version_chart(record),
        latency=figures.latency_chart(record),
        completion=figures.completion_chart(record),
        speed=figures.speed_chart(record),
        decisions=figures.decision_chart(record),
        actions="".join(
            f'<li><i class="act-{a.lower()}"></i>{a.lower()}</li>' for a in figures.ACTIONS
        ),
        events=_events(summary),
        reasons=_reasons(summary),
        stages=_stages(record),
        episodes=_episodes(record),
        setup=_setup(record, summary),
    )


def _banner(summary: dict[str, Any]) -> str:
    if summary["weights"] == "trained":
        return ""
    return (
        '<div class="untrained">UNTRAINED WEIGHTS'
        "<p>The network's values are random. This run shows the machinery at work, "
        "not driving skill: trajectories, decisions and scores mean nothing.</p></div>"
    )


def _subtitle(record: RunRecord, summary: dict[str, Any]) -> str:
    pace = "in real time" if summary["pace"] == "realtime" else "stepped, as fast as possible"
    return html.escape(
        f"MetaDrive, {summary['simulated_seconds']:g} simulated seconds {pace} "
        f"({summary['pace_factor']}x), {record.run['started']}"
    )


def _tiles(summary: dict[str, Any]) -> str:
    planning, staleness = summary["planning_ms"], summary["staleness_s"]
    reasoning = summary["reasoning_ms"]
    tiles = [
        ("Ticks", f"{summary['ticks']}", f"{summary['missed_ticks']} missed"),
        (
            "Plans failed",
            f"{summary['plans_failed']}",
            f"{summary['plans_fallback']} by fallback, {summary['plans_flagged']} flagged",
        ),
        (
            "Planning p50",
            _number(planning["p50"], "ms"),
            f"p99 {_number(planning['p99'], 'ms')}, max {_number(planning['max'], 'ms')}",
        ),
        (
            "Reasoning p50",
            _number(reasoning["p50"], "ms"),
            f"p99 {_number(reasoning['p99'], 'ms')}",
        ),
        (
            "Staleness p50",
            _number(staleness["p50"], "s"),
            f"p99 {_number(staleness['p99'], 's')}, max {_number(staleness['max'], 's')}",
        ),
        (
            "Snapshots used",
            f"{summary['snapshots_used']}",
            f"lane {summary['lane'].replace('_', ' ')}",
        ),
        (
            "Route completion",
            _percent(summary["route_completion"]),
            f"{summary['episodes']} episodes, {summary['arrived']} arrived",
        ),
        ("Collisions", f"{summary['collisions']}", f"{summary['off_road']} off road"),
    ]
    return "".join(
        f'<div class="tile"><b>{html.escape(name)}</b><span>{html.escape(value)}</span>'
        f"<small>{html.escape(note)}</small></div>"
        for name, value, note in tiles
    )


def _achieved(rate_hz: float | None, clock: str) -> str:
    return "" if not rate_hz else f"({rate_hz:.1f} Hz achieved{clock})"


def _video(video: EmbeddedVideo | None) -> str:
    if video is None:
        return '<p class="quiet">No frames were recorded.</p>'
    if video.tag == "img":
        return f'<img src="{video.uri}" alt="camera with trajectory, and bird\'s-eye view">'
    source = f'poster="{video.poster}" src="{video.uri}"'
    return f"<video controls loop muted autoplay playsinline {source}></video>"


def _legend() -> str:
    return "".join(
        f'<li><i style="background:{palette.css(colour)}"></i>{name}</li>'
        for name, colour in palette.LEGEND
    )


def _events(summary: dict[str, Any]) -> str:
    return _process_events(summary) + _chaos(summary)


def _chaos(summary: dict[str, Any]) -> str:
    chaos = summary["chaos"]
    if not chaos:
        return ""
    injected = table(("Injected", "Faults"), _rows(chaos["injected"]))
    refused = table(("Refused by the planner", "Snapshots"), _rows(chaos["refused"]))
    return (
        f'<p class="fault-note">Chaos on the snapshot path, seed {chaos["seed"]}: '
        f"{summary['plans_failed']} plans failed.</p>{injected}{refused}"
    )


def _rows(counts: dict[str, int]) -> list[tuple[str, ...]]:
    return [(name.replace("_", " "), str(count)) for name, count in counts.items()]


def _process_events(summary: dict[str, Any]) -> str:
    if not summary["events"]:
        return ""
    items = ", ".join(
        f"{html.escape(event['what'])} at {event['at_s']:g} s" for event in summary["events"]
    )
    return f'<p class="fault-note">Fault on purpose: {items}. Shaded in the charts.</p>'


def _reasons(summary: dict[str, Any]) -> str:
    answered = summary["ticks"] - summary["plans_failed"]
    rows = [("plain answers", answered - summary["plans_flagged"])]
    rows += list(summary["reasons"].items())
    rows += [("no answer", summary["plans_failed"])]
    return table(
        ("Reason", "Plans", "Share"),
        [(name, str(count), _percent(count / max(summary["ticks"], 1), 1)) for name, count in rows],
    )


def _stages(record: RunRecord) -> str:
    stages: dict[str, list[float]] = {}
    for plan in record.plans:
        for name, seconds in plan["stage_seconds"].items():
            stages.setdefault(name, []).append(seconds * 1e3)
    rows = []
    for name, values in stages.items():
        numbers = percentiles(values)
        rows.append(
            (name.replace("_", " "), *(_number(numbers[k], "ms") for k in ("p50", "p99", "max")))
        )
    return table(("Stage (server)", "p50", "p99", "max"), rows) if rows else ""


def _episodes(record: RunRecord) -> str:
    rows = [
        (
            str(episode["number"]),
            str(episode["seed"]),
            f"{episode['begin_s']:.1f}",
            f"{episode['end_s'] - episode['begin_s']:.1f}",
            episode["end"].replace("_", " "),
            _percent(episode["route_completion"], 1),
            f"{episode['route_length_m']:.0f}",
        )
        for episode in record.run["episodes"]
    ]
    return table(
        ("Episode", "Seed", "Begin, s", "Lasted, s", "End", "Route done", "Route, m"), rows
    )


def _setup(record: RunRecord, summary: dict[str, Any]) -> str:
    options, world = record.run["options"], record.run["world"]
    rows = [
        ("weights", summary["weights"]),
        ("model revision", summary["model_revision"]),
        ("snapshot lane", summary["lane"].replace("_", " ")),
        ("pace", f"{summary['pace']}, {summary['pace_factor']}x real time"),
        ("planning rate", f"{summary['planning_rate_hz']:g} Hz"),
        ("reasoning rate", f"{summary['reasoning_rate_hz']:g} Hz of session time"),
        ("target points", summary["target_point_rule"]),
        ("camera", "{width} x {height}, {fov_deg:g} degrees".format(**record.run["camera"])),
        ("first seed", str(options["seed"])),
        ("traffic density", f"{world['traffic_density']:g}"),
        ("map blocks", str(world["blocks"])),
        ("lateral error, rms", _number(summary["lateral_error_rms_m"], "m")),
        (
            "decisions: context and tick",
            f"{summary['decisions_agree']} agree, {summary['decisions_disagree']} differ",
        ),
    ]
    return table(("Setting", "Value"), rows)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A plain table; cells are text."""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def _percent(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}%}"
