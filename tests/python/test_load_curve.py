"""The curves of automot-loadgen's sweeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from automot_client import load_curve


def percentiles(count: int, p50: float) -> dict[str, float]:
    return {"count": count, "p50": p50, "p99": 2 * p50, "p99_9": 3 * p50}


def run(offered_hz: float, goodput_hz: float, refused: int) -> dict[str, Any]:
    return {
        "offered_hz": offered_hz,
        "goodput_hz": goodput_hz,
        "seconds": 10.0,
        "ticks": {"refused": refused, "late": 1, "unsent": 0, "failed": 0},
        "ms": {"from_intended": percentiles(100, 6.0), "refusal": percentiles(refused, 0.3)},
    }


def report(*runs: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": "automot-loadgen-1",
        "commit": "0123456789abcdef",
        "machine": {"processor": "A & B", "cores": 2},
        "server": {"model_revision": "synthetic:plan-proof-v1"},
        "settings": {"vehicles": 4, "mode": "unary", "deadline_ms": 50.0},
        "runs": list(runs),
    }


def polylines(svg: str) -> list[str]:
    return [
        element.attrib["points"]
        for element in ElementTree.fromstring(svg).iter()
        if "points" in element.attrib
    ]


def test_each_figure_is_a_line_over_the_offered_load() -> None:
    svg = load_curve.draw(report(run(100, 100, 0), run(200, 180, 100), run(400, 185, 2000)))
    lines = polylines(svg)
    assert len(lines) == 3 + 3 + 2
    columns = [float(point.split(",")[0]) for point in lines[0].split()]
    assert columns == sorted(columns)
    assert len(columns) == 3
    assert len(lines[-1].split()) == 2, "a run that refused nothing has no refusal latency"
    assert "A &amp; B" in svg


def test_runs_are_drawn_by_offered_load_whatever_their_order() -> None:
    runs = [run(100, 100, 0), run(200, 180, 100)]
    assert load_curve.draw(report(*runs)) == load_curve.draw(report(*reversed(runs)))


def test_nothing_is_drawn_of_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "report.json", tmp_path / "curve.svg"
    for wrong, says in (
        ({**report(run(1, 1, 0), run(2, 2, 0)), "schema": "another"}, "schema"),
        (report(run(1, 1, 0)), "sweep"),
    ):
        source.write_text(json.dumps(wrong))
        assert load_curve.main([str(source), "--out", str(target)]) == 1
        assert says in capsys.readouterr().err
        assert not target.exists()


def test_it_writes_the_file(tmp_path: Path) -> None:
    source, target = tmp_path / "report.json", tmp_path / "curve.svg"
    source.write_text(json.dumps(report(run(1, 1, 0), run(2, 2, 0))))
    assert load_curve.main([str(source), "--out", str(target)]) == 0
    assert target.read_text().startswith("<svg")
