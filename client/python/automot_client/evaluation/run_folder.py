"""The folder of a closed-loop run: its settings, a file per driven route, results and pages.

config.json        the settings; a run goes on only under its own
routes/seed-N.json one driven route; routes/seed-N.html its page
results.json, index.html  the figures over all routes that are there
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from automot_client.evaluation.results import summarise
from automot_client.evaluation.route_job import DriveSettings, RouteJob
from automot_client.evaluation.scoring import RouteResult


class RunFolder:
    """Files of one run."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def begin(self, settings: DriveSettings) -> None:
        """Makes the folder. ValueError where it is of a run with other settings, naming the first."""
        file = self.out / "config.json"
        asked = dataclasses.asdict(settings)
        if file.exists():
            kept = json.loads(file.read_text())
            for name, value in asked.items():
                if kept.get(name) != value:
                    raise ValueError(
                        f"{self.out} holds a run with {name} {kept.get(name)!r}, {value!r} is "
                        "asked; take another --out"
                    )
        (self.out / "routes").mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(asked, indent=1))

    def done(self, seeds: list[int]) -> list[RouteResult]:
        """Results of the seeds that are driven, in the order of the seeds."""
        found = []
        for seed in seeds:
            file = self.out / "routes" / f"seed-{seed:06d}.json"
            if file.exists():
                found.append(RouteResult.from_json(json.loads(file.read_text())))
        return found

    def write_results(self, routes: list[RouteResult], settings: DriveSettings) -> dict[str, Any]:
        """Writes results.json and index.html, and returns the figures."""
        from automot_client.evaluation.index_page import render_index

        figures = summarise(routes, dataclasses.asdict(settings))
        write_whole(self.out / "results.json", json.dumps(figures, indent=1))
        pages = {r.seed for r in routes if RouteJob(self.out, r.seed, settings).page_file.exists()}
        write_whole(self.out / "index.html", render_index(figures, routes, pages))
        return figures


def write_whole(file: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text)
    partial.replace(file)
