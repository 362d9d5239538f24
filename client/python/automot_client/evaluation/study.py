"""Runs a study: closed-loop runs on the same seeds that differ in one thing, a table and a plot of them.

Each row has a service of its own, started here. A cut-off study goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automot_client.bridge.splits import SPLITS
from automot_client.evaluation import closed_loop
from automot_client.evaluation.compare import compare
from automot_client.evaluation.results import read_results
from automot_client.evaluation.run_folder import write_whole
from automot_client.evaluation.served_model import served
from automot_client.reporting.svg import Chart

_MINUTES_PER_ROUTE = 0.7
_STYLE = (
    "<style>rect.bar{fill:#2f6fd0}rect.range{fill:#c26a1e}text{font:12px sans-serif;fill:#556}"
    ".axis{stroke:#667}.grid{stroke:#ccd}</style>"
)


@dataclass(frozen=True)
class Row:
    """One run of a study: options of `closed-loop`, and flags of `automot-serve`."""

    name: str
    drive: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()


STUDIES: dict[str, tuple[Row, ...]] = {
    "staleness": (
        Row("coupled", ("--reasoning-rate-hz", "20")),
        *(Row(f"{s} s", ("--staleness", s)) for s in ("0", "0.25", "0.5", "1", "2")),
    ),
    "context": (Row("live"), Row("frozen", ("--context", "frozen"))),
    "sensors": tuple(
        Row(mode, ("--sensors", mode)) for mode in ("full", "no_lidar", "no_camera", "blind")
    ),
    "compact": tuple(
        Row(kind, serve=("--context-dtype", kind)) for kind in ("native", "fp8_e4m3", "int8")
    ),
    "frame-drops": tuple(
        Row(f"{chance} lost", ("--drop-frames", chance)) for chance in ("0", "0.1", "0.3", "0.5")
    ),
}

# Drives with the options of `closed-loop`, through a service of a checkpoint with flags.
DriveRow = Callable[[Path, Sequence[str], list[str]], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `automot-eval study` takes."""
    parser.add_argument("name", choices=tuple(STUDIES), help="what differs")
    parser.add_argument("--bin-dir", type=Path, required=True, help="folder of automot-serve")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the model")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="one more row: another checkpoint, such as one with a random understanding expert",
    )
    parser.add_argument("--split", choices=tuple(SPLITS), default="validation", help="seeds of")
    parser.add_argument("--seeds", type=int, default=20, help="routes per row")
    parser.add_argument("--density", type=float, default=0.1, help="traffic density")
    parser.add_argument("--processes", type=int, default=1, help="simulators at the same time")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of it all")


def run(options: argparse.Namespace) -> int:
    """Entry point; 1 when a row failed, 2 on bad arguments."""
    bad = [variant for variant in options.variant if "=" not in variant]
    if bad:
        print(f"automot-eval study: --variant {bad[0]!r}: want NAME=DIR", file=sys.stderr)
        return 2

    def drive(checkpoint: Path, flags: Sequence[str], arguments: list[str]) -> int:
        with served(
            options.bin_dir, checkpoint, options.out, ["--reproducible", *flags]
        ) as address:
            parser = argparse.ArgumentParser()
            closed_loop.add_arguments(parser)
            return closed_loop.run(parser.parse_args(["--service", address, *arguments]))

    return study(options, drive)


def study(options: argparse.Namespace, drive: DriveRow) -> int:
    """Drives all rows and writes NAME.md, NAME.svg and NAME.json."""
    rows = [(row, options.checkpoint) for row in STUDIES[options.name]]
    for variant in options.variant:
        name, _, folder = variant.partition("=")
        rows.append((Row(name), Path(folder)))
    minutes = len(rows) * -(-options.seeds // options.processes) * _MINUTES_PER_ROUTE
    print(f"{len(rows)} rows of {options.seeds} routes, about {minutes:.0f} minutes", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    found: list[tuple[str, dict[str, Any]]] = []
    for row, checkpoint in rows:
        print(f"{row.name}:", flush=True)
        out = options.out / options.name / row.name.replace(" ", "_")
        arguments = ["--split", options.split, "--seeds", str(options.seeds), "--out", str(out)]
        arguments += ["--density", str(options.density), "--processes", str(options.processes)]
        if drive(checkpoint, row.serve, [*arguments, "--no-pages", *row.drive]) != 0:
            return 1
        found.append((row.name, read_results(out)))
    stem = options.out / options.name
    write_whole(stem.with_suffix(".json"), json.dumps(dict(found), indent=1))
    write_whole(stem.with_suffix(".md"), table(options.name, found))
    write_whole(stem.with_suffix(".svg"), plot(options.name, found))
    print(table(options.name, found))
    return 0


def table(name: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """The study as Markdown; the last column is paired by seed with the first row."""
    first = rows[0][1]
    settings = first["settings"]
    lines = [
        f"# Study: {name}",
        "",
        f"{first['routes']} routes of the {settings['split']} split, density {settings['density']:g}; "
        "95 % intervals over routes; the last column pairs each row with the first by seed.",
        "",
        "| run | success | route completion | driving score | collisions per km | success - first |",
        "|---|---|---|---|---|---|",
    ]
    for label, figures in rows:
        cells = [_cell(figures, key, 100) for key in ("success_rate", "route_completion")]
        cells += [_cell(figures, "driving_score", 100), _cell(figures, "collisions_per_km", 1)]
        pair = compare(figures, first)["success"]
        low, high = (100 * value for value in pair["difference_interval"])
        cells.append(f"{100 * pair['difference']:+.0f} ({low:+.0f} to {high:+.0f})")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(name: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Driving scores with intervals as an SVG file."""
    chart = Chart((0.0, 100.0), (0.0, float(len(rows))), height=60 + 34 * len(rows), width=720)
    chart.x_label = "driving score"
    chart.axes(y_ticks=False)
    for place, (label, figures) in enumerate(reversed(rows)):
        low, high = figures["driving_score_interval"]
        chart.row_label(place + 0.5, label)
        chart.span(0.0, 100 * figures["driving_score"], "bar", place + 0.2, place + 0.8)
        chart.span(100 * low, 100 * high, "range", place + 0.44, place + 0.56)
    head = '<svg xmlns="http://www.w3.org/2000/svg" '
    body = chart.svg(f"study {name}").removeprefix("<svg ")
    return head + body.replace(">", ">" + _STYLE, 1) + "\n"


def _cell(figures: dict[str, Any], key: str, scale: float) -> str:
    low, high = (scale * value for value in figures[f"{key}_interval"])
    digits = 0 if scale == 100 else 2
    return f"{scale * figures[key]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
