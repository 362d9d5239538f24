"""What was injected into the snapshot path and what the planner refused, from the services' logs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A part of the planner's refusal, and what it is called; the first that fits.
_REFUSALS = (
    ("header.id.epoch", "fenced producer"),
    ("header.id.", "another header"),
    ("header.", "damaged header"),
    ("has hash", "chunk hash"),
    ("is out of order", "chunk missing, repeated or out of order"),
    ("came with", "chunk truncated"),
    ("chunk {", "chunk outside its tensor"),
    ("without a header", "no header"),
    ("trailer", "incomplete"),
    ("digest", "manifest digest"),
)


def summarize_chaos(folder: Path) -> dict[str, Any] | None:
    """Counts of a run with --chaos; None where the services ran without."""
    reasoning = list(_events(folder / "reasoning.log"))
    started = [event for event in reasoning if event.get("event") == "chaos_on"]
    if not started:
        return None
    injected: Counter[str] = Counter()
    for event in reasoning:
        if event.get("event") == "chaos":
            injected.update(event["injected"].split(","))
    refused: Counter[str] = Counter()
    for event in _events(folder / "planning.log"):
        if event.get("event") == "refresh_failed":
            refused[_reason(event["why"])] += 1
        elif event.get("event") == "snapshot_refused":
            refused["by the store"] += 1
    return {
        "seed": started[0]["seed"],
        "injected": dict(sorted(injected.items())),
        "refused": dict(sorted(refused.items())),
    }


def _reason(why: str) -> str:
    return next((name for part, name in _REFUSALS if part in why), why.split(":", 1)[0])


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """A killed service may leave half a line."""
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
