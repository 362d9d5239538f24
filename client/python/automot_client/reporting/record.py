"""Reads a recorded run (see driving/recording.py for the files)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np


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
