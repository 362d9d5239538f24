"""Runs a study: runs that differ in one thing, driven on the same seeds or replayed from the same
episodes, and a table and a plot of them.

Each row has a service of its own, started here. A cut-off study goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from automot_client.bridge.splits import SPLITS
from automot_client.evaluation import closed_loop, open_loop, study_tables
from automot_client.evaluation.run_folder import write_whole
from automot_client.evaluation.served_model import served
from automot_client.evaluation.study_rows import STUDIES, Row
from automot_client.evaluation.study_tables import Rows


@dataclass(frozen=True)
class Loop:
    """How the rows are judged: the command that runs one, and what shows them all."""

    command: ModuleType
    unit: str
    minutes_per_unit: float
    ending: str
    table: Callable[[str, Rows], str]
    plot: Callable[[str, Rows], str]


CLOSED = Loop(closed_loop, "routes", 0.7, "", study_tables.closed_table, study_tables.closed_plot)
OPEN = Loop(
    open_loop, "episodes", 0.5, "-open-loop", study_tables.open_table, study_tables.open_plot
)

# Runs a row through a service of a checkpoint with flags, with the options of the loop's command.
RunRow = Callable[[Path, Sequence[str], list[str]], int]


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
    parser.add_argument(
        "--hidden-variant",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="the same, served with --hide-contexts: one that was trained without contexts",
    )
    parser.add_argument(
        "--open-loop", type=Path, metavar="DATASET", help="replay its episodes instead of driving"
    )
    parser.add_argument("--split", choices=tuple(SPLITS), default="validation", help="seeds of")
    parser.add_argument("--seeds", type=int, default=20, help="routes, or episodes, per row")
    parser.add_argument("--density", type=float, default=0.1, help="traffic density (driving)")
    parser.add_argument("--every", type=int, default=1, help="score each so-manieth frame (replay)")
    parser.add_argument("--processes", type=int, default=1, help="routes at the same time")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of it all")


def run(options: argparse.Namespace) -> int:
    """Entry point; 1 when a row failed, 2 on bad arguments."""
    try:
        rows = read_rows(options)
    except ValueError as error:
        print(f"automot-eval study: {error}", file=sys.stderr)
        return 2
    loop = OPEN if options.open_loop else CLOSED

    def run_row(checkpoint: Path, flags: Sequence[str], arguments: list[str]) -> int:
        with served(
            options.bin_dir, checkpoint, options.out, ["--reproducible", *flags]
        ) as address:
            parser = argparse.ArgumentParser()
            loop.command.add_arguments(parser)
            return int(loop.command.run(parser.parse_args(["--service", address, *arguments])))

    return study(options, rows, run_row)


def read_rows(options: argparse.Namespace) -> list[Row]:
    """The study's rows and those of other checkpoints. ValueError for a variant without a folder."""
    rows = list(STUDIES[options.name])
    for variants, serve in ((options.variant, ()), (options.hidden_variant, ("--hide-contexts",))):
        for variant in variants:
            name, _, folder = variant.partition("=")
            if not folder:
                raise ValueError(f"variant {variant!r}: want NAME=DIR")
            rows.append(Row(name, serve=serve, checkpoint=Path(folder)))
    return rows


def study(options: argparse.Namespace, rows: Sequence[Row], run_row: RunRow) -> int:
    """Runs all rows and writes NAME.md, NAME.svg and NAME.json; in open loop NAME-open-loop."""
    loop = OPEN if options.open_loop else CLOSED
    minutes = len(rows) * -(-options.seeds // options.processes) * loop.minutes_per_unit
    print(
        f"{len(rows)} rows of {options.seeds} {loop.unit}, about {minutes:.0f} minutes", flush=True
    )
    found: list[tuple[str, dict[str, Any]]] = []
    for row in rows:
        print(f"{row.name}:", flush=True)
        out = options.out / f"rows{loop.ending}" / row.folder
        out.mkdir(parents=True, exist_ok=True)
        arguments = [*_arguments(options), "--out", str(out), *row.drive]
        if run_row(row.checkpoint or options.checkpoint, row.serve, arguments) != 0:
            return 1
        found.append((row.name, json.loads((out / "results.json").read_text())))
    stem = options.out / f"{options.name}{loop.ending}"
    write_whole(stem.with_suffix(".json"), json.dumps(dict(found), indent=1))
    write_whole(stem.with_suffix(".md"), loop.table(options.name, found))
    write_whole(stem.with_suffix(".svg"), loop.plot(options.name, found))
    print(loop.table(options.name, found))
    return 0


def _arguments(options: argparse.Namespace) -> list[str]:
    common = ["--split", options.split, "--processes", str(options.processes)]
    if options.open_loop:
        data = ["--data", str(options.open_loop), "--every", str(options.every)]
        return [*common, *data, "--episodes", str(options.seeds)]
    return [*common, "--seeds", str(options.seeds), "--density", str(options.density), "--no-pages"]
