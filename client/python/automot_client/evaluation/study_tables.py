"""How a study is shown, in closed and in open loop: a table and a plot of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automot_client.evaluation.compare import compare
from automot_client.evaluation.statistics import bootstrap_ratio
from automot_client.reporting.svg import MARGIN_LEFT, Chart

# Names of rows with their results, the first being what the others are compared with.
Rows = Sequence[tuple[str, dict[str, Any]]]

_STYLE = (
    "<style>rect.bar{fill:#2f6fd0}rect.range{fill:#c26a1e}text{font:12px sans-serif;fill:#556}"
    ".axis{stroke:#667}.grid{stroke:#ccd}</style>"
)


@dataclass(frozen=True)
class Column:
    """A figure of results.json, times `scale`, with its interval."""

    title: str
    key: str
    scale: float = 1.0
    digits: int = 2

    def cell(self, figures: dict[str, Any]) -> str:
        """The figure and its interval; a dash where the run has none."""
        if self.key not in figures:
            return "-"
        low, high = (self.scale * value for value in figures[f"{self.key}_interval"])
        value = self.scale * figures[self.key]
        return f"{value:.{self.digits}f} ({low:.{self.digits}f} to {high:.{self.digits}f})"


# Where waiting for contexts is what differs; of other rows it would show what else the machine did.
_PLAN_TIMES = {
    "staleness": (
        Column("plan, ms: median", "plan_ms_median", 1, 0),
        Column("95th percentile", "plan_ms_p95", 1, 0),
    )
}
_CLOSED = (
    Column("success, %", "success_rate", 100, 0),
    Column("route completion, %", "route_completion", 100, 0),
    Column("driving score", "driving_score", 100, 0),
    Column("collisions per km", "collisions_per_km"),
)
_OPEN = (
    *(Column(f"L2 at {second} s, m", f"l2_{second}s_m") for second in (1, 2, 3)),
    Column("joint decision, %", "decision_joint_accuracy", 100, 0),
    Column("brake recall, %", "brake_recall", 100, 0),
    Column("brake precision, %", "brake_precision", 100, 0),
)


def closed_table(name: str, rows: Rows) -> str:
    """Driving as Markdown; paired by seed."""
    first = rows[0][1]
    settings = first["settings"]
    head = (
        f"{first['routes']} routes of the {settings['split']} split, density "
        f"{settings['density']:g}; 95 % intervals over routes; the last column pairs each row with "
        f"the first by seed. {_model(settings)}"
    )
    times = _PLAN_TIMES.get(name, ())
    lines = []
    for label, figures in rows:
        pair = compare(figures, first)["success"]
        difference = _signed(pair["difference"], pair["difference_interval"], 100, 0)
        cells = [column.cell(figures) for column in _CLOSED]
        cells += [column.cell(figures["plans"]) for column in times]
        lines.append([label, *cells, difference])
    titles = [column.title for column in (*_CLOSED, *times)]
    return _page(name, name, head, ["run", *titles, "success - first"], lines)


def open_table(name: str, rows: Rows) -> str:
    """Plans against the record as Markdown; paired by episode."""
    first = rows[0][1]
    settings = first["settings"]
    head = (
        f"{first['episodes']} recorded episodes of the {settings['split']} split, {first['frames']} "
        f"frames scored (every {settings['every']}), {first['brake_frames']} of them before braking; "
        "95 % intervals over episodes; the last column is the mean distance at 1, 2 and 3 s, paired "
        f"with the first row by episode. {_model(settings)}"
    )
    columns = (*_OPEN, *_PLAN_TIMES.get(name, ()))
    lines = [
        [label, *(column.cell(figures) for column in columns), _signed(*paired(figures, first))]
        for label, figures in rows
    ]
    titles = [column.title for column in columns]
    title = f"{name}, open loop"
    return _page(title, f"{name}-open-loop", head, ["run", *titles, "mean L2 - first, m"], lines)


def paired(figures: dict[str, Any], first: dict[str, Any]) -> tuple[float, tuple[float, float]]:
    """Mean distance minus the first row's over the frames of common episodes, and its interval.

    ValueError where no episode is common.
    """
    own, other = ({one["episode"]: one for one in run["per_episode"]} for run in (figures, first))
    names = sorted(own.keys() & other.keys())
    if not names:
        raise ValueError("no episode is in both runs")
    frames = np.array([own[name]["frames"] for name in names], dtype=np.float64)
    sums = frames * [own[name]["l2_average_m"] - other[name]["l2_average_m"] for name in names]
    return float(sums.sum() / frames.sum()), bootstrap_ratio(sums.tolist(), frames.tolist())


def closed_plot(name: str, rows: Rows) -> str:
    """Driving scores with intervals as an SVG file."""
    return _bars(f"study {name}", rows, Column("driving score", "driving_score", 100), 100.0)


def open_plot(name: str, rows: Rows) -> str:
    """Mean distances with intervals as an SVG file."""
    column = Column("mean L2 at 1, 2 and 3 s, m", "l2_average_m")
    top = 1.05 * max(figures["l2_average_m_interval"][1] for _, figures in rows)
    return _bars(f"study {name}, open loop", rows, column, max(top, 0.01))


def _bars(title: str, rows: Rows, column: Column, top: float) -> str:
    chart = Chart((0.0, top), (0.0, float(len(rows))), height=60 + 34 * len(rows), width=720)
    chart.x_label = column.title
    chart.axes(y_ticks=False)
    for place, (label, figures) in enumerate(reversed(rows)):
        low, high = (column.scale * value for value in figures[f"{column.key}_interval"])
        chart.row_label(place + 0.5, label)
        chart.span(0.0, column.scale * figures[column.key], "bar", place + 0.2, place + 0.8)
        chart.span(low, high, "range", place + 0.44, place + 0.56)
    head = '<svg xmlns="http://www.w3.org/2000/svg" '
    # Names of rows longer than the chart's margin get their room to the left of it.
    room = max(0, 7 * max(len(label) for label, _ in rows) + 12 - MARGIN_LEFT)
    body = chart.svg(title).removeprefix("<svg ")
    body = body.replace(f"0 0 {chart.width} ", f"{-room} 0 {chart.width + room} ", 1)
    return head + body.replace(">", ">" + _STYLE, 1) + "\n"


def _model(settings: dict[str, Any]) -> str:
    revision = settings.get("model_revision", "")
    return f"Model `{revision[:12]}`." if revision else ""


def _page(
    title: str, plot: str, head: str, titles: Sequence[str], lines: Sequence[Sequence[str]]
) -> str:
    rows = [titles, ["---"] * len(titles), *lines]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"# Study: {title}\n\n{head.rstrip()}\n\n{text}\n\n![{title}]({plot}.svg)\n"


def _signed(value: float, interval: Sequence[float], scale: float = 1.0, digits: int = 3) -> str:
    low, high = (scale * end for end in interval)
    return f"{scale * value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
