"""Reads a recorded run (see driving/recording.py for the files)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from automot_client.bridge.projection import CameraModel


@dataclass(frozen=True)
class RunRecord:
    """One run: `run.json`, every tick, every announced snapshot."""

    folder: Path
    run: dict[str, Any]
    ticks: list[dict[str, Any]]
    refreshes: list[dict[str, Any]]

    @staticmethod
    def load(folder: Path) -> RunRecord:
        """Reads the files of a run."""
        return RunRecord(
            folder=folder,
            run=json.loads((folder / "run.json").read_text()),
            ticks=_lines(folder / "ticks.jsonl"),
            refreshes=_lines(folder / "refreshes.jsonl"),
        )

    @property
    def tick_s(self) -> float:
        """Simulated seconds per tick."""
        return 1.0 / float(self.run["options"]["planning_rate_hz"])

    @property
    def plans(self) -> list[dict[str, Any]]:
        """Answers of the ticks that got one."""
        return [tick["plan"] for tick in self.ticks if tick["plan"]]

    @property
    def camera(self) -> CameraModel:
        """The camera that the pictures were drawn with."""
        return CameraModel(**self.run["camera"])

    @property
    def fault_spans(self) -> list[tuple[float, float, str]]:
        """Begin and end of each fault, simulated seconds, and what was done."""
        events = self.run["events"]
        end_s = len(self.ticks) * self.tick_s
        ends = [event["at_s"] for event in events[1:]] + [end_s]
        return [(e["at_s"], end, e["what"]) for e, end in list(zip(events, ends))[::2]]

    @lru_cache(maxsize=4)  # noqa: B019 - a record lives as long as its report is written.
    def scene(self, episode: int) -> dict[str, np.ndarray]:
        """Static scene and route of an episode, local frame."""
        with np.load(self.folder / "maps" / f"{episode}.npz") as arrays:
            return dict(arrays)

    def __hash__(self) -> int:
        return id(self)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]
