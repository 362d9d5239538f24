"""Draws a sweep of automot-loadgen: `python -m automot_client.load_curve REPORT.json --out CURVE.svg`.

Three charts over the offered load: answers in time and refusals per second, latency from the intended start,
and how soon a refusal comes.
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from automot_client.reporting.svg import Chart

_SCHEMA = "automot-loadgen-1"
_WIDTH, _HEIGHT, _TITLE_HEIGHT, _LEGEND_HEIGHT = 940, 230, 46, 26
_STYLE = """
  text { font: 12px system-ui, 'DejaVu Sans', sans-serif; fill: #374151; }
  .title { font-size: 15px; font-weight: 600; fill: #111827; }
  .grid { stroke: #e5e7eb; } .axis { stroke: #6b7280; }
  .line { fill: none; stroke-width: 2; } .limit { stroke: #6b7280; stroke-dasharray: 5 4; }
  .first { stroke: #2563eb; } .second { stroke: #d97706; } .third { stroke: #059669; }
  text.first { fill: #2563eb; stroke: none; } text.second { fill: #d97706; stroke: none; }
  text.third { fill: #059669; stroke: none; }
"""
_COLOURS = ("first", "second", "third")

Series = tuple[str, Callable[[dict[str, Any]], float]]

_PER_SECOND: tuple[Series, ...] = (
    ("answered in time", lambda run: run["goodput_hz"]),
    ("refused", lambda run: run["ticks"]["refused"] / run["seconds"]),
    ("late, unsent or failed", lambda run: _others(run) / run["seconds"]),
)
_LATENCY: tuple[Series, ...] = (
    ("p50", lambda run: run["ms"]["from_intended"]["p50"]),
    ("p99", lambda run: run["ms"]["from_intended"]["p99"]),
    ("p99.9", lambda run: run["ms"]["from_intended"]["p99_9"]),
)
_REFUSAL: tuple[Series, ...] = (
    ("p50", lambda run: run["ms"]["refusal"]["p50"]),
    ("p99", lambda run: run["ms"]["refusal"]["p99"]),
)


def _others(run: dict[str, Any]) -> float:
    return float(sum(run["ticks"][name] for name in ("late", "unsent", "failed")))


def draw(report: dict[str, Any]) -> str:
    """The SVG of a report."""
    if report.get("schema") != _SCHEMA:
        raise ValueError(f"schema is {report.get('schema')!r}; this draws {_SCHEMA!r}")
    runs = sorted(report["runs"], key=lambda run: float(run["offered_hz"]))
    if len(runs) < 2:
        raise ValueError(f"the report has {len(runs)} run; a curve needs a --sweep of two or more")
    deadline = report["settings"]["deadline_ms"]
    refused = [run for run in runs if run["ms"]["refusal"]["count"] > 0]
    panels = [_panel("ticks per second", runs, _PER_SECOND, None)]
    panels.append(_panel("latency from the intended start, ms", runs, _LATENCY, deadline))
    if len(refused) > 1:
        panels.append(_panel("refusal after its sending, ms", refused, _REFUSAL, None))
    step = _HEIGHT + _LEGEND_HEIGHT
    height = _TITLE_HEIGHT + step * len(panels)
    body = "".join(
        f'<svg y="{_TITLE_HEIGHT + i * step}" width="{_WIDTH}" height="{step}">{panel}</svg>'
        for i, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<style>{_STYLE}</style>"
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>{_title(report)}{body}</svg>\n'
    )


def _title(report: dict[str, Any]) -> str:
    settings, machine = report["settings"], report["machine"]
    head = f"{settings['vehicles']} vehicles, {settings['mode']}, deadline {settings['deadline_ms']:g} ms"
    tail = f"{report['server']['model_revision']}; {machine['processor']}, {machine['cores']} cores"
    commit = str(report["commit"])[:8]
    return (
        f'<text class="title" x="14" y="20">{html.escape(head)}</text>'
        f'<text x="14" y="38">{html.escape(f"{tail}; commit {commit}")}</text>'
    )


def _panel(
    label: str, runs: list[dict[str, Any]], series: tuple[Series, ...], limit: float | None
) -> str:
    offered = [float(run["offered_hz"]) for run in runs]
    values = [[float(value(run)) for run in runs] for _, value in series]
    highest = max([limit or 0.0, *(max(line) for line in values)]) * 1.1 or 1.0
    chart = Chart(
        (0.0, offered[-1]),
        (0.0, highest),
        width=_WIDTH,
        height=_HEIGHT,
        x_label="offered ticks per second",
        y_label=label,
    )
    chart.axes()
    if limit is not None:
        chart.level(limit, "", "deadline")
    for line, css in zip(values, _COLOURS):
        chart.line(offered, line, css)
    legend = "".join(
        f'<text class="{css}" x="{70 + 190 * i}" y="16">{html.escape(name)}</text>'
        for i, ((name, _), css) in enumerate(zip(series, _COLOURS))
    )
    plot = f'<svg y="{_LEGEND_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">{chart.svg(label)}</svg>'
    return legend + plot


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m automot_client.load_curve", description=__doc__
    )
    parser.add_argument("report", type=Path, help="of automot-loadgen --sweep ... --json")
    parser.add_argument("--out", type=Path, required=True, help="SVG to write")
    options = parser.parse_args(arguments)
    try:
        options.out.write_text(draw(json.loads(options.report.read_text())))
    except (OSError, ValueError, KeyError) as error:
        print(f"load_curve: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
