"""A study: its rows, what each is driven with, its table and plot."""

from __future__ import annotations

import argparse
import json
import xml.etree.ElementTree
from pathlib import Path

import pytest

from automot_client.bridge.world import EpisodeEnd
from automot_client.evaluate import main
from automot_client.evaluation import closed_loop
from automot_client.evaluation.results import summarise
from automot_client.evaluation.scoring import RouteResult, infractions_of
from automot_client.evaluation.study import STUDIES, add_arguments, study


def options(tmp_path: Path, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    fixed = ["--bin-dir", "bin", "--checkpoint", "trained", "--out", str(tmp_path), "--seeds", "4"]
    return parser.parse_args([*arguments, *fixed])


def results(successes: int) -> dict:
    routes = []
    for seed in range(4):
        end = EpisodeEnd.ARRIVED if seed < successes else EpisodeEnd.CRASH_VEHICLE
        done = 1.0 if seed < successes else 0.5
        routes.append(
            RouteResult(seed, end.value, done, 400.0, 400.0 * done, 50.0, infractions_of(end))
        )
    return summarise(routes, {"split": "validation", "density": 0.1, "accidents": 0.0})


def driver(calls: list, successes: dict[str, int]):
    def drive(checkpoint: Path, flags, arguments: list[str]) -> int:
        out = Path(arguments[arguments.index("--out") + 1])
        calls.append((str(checkpoint), tuple(flags), arguments))
        out.mkdir(parents=True)
        (out / "results.json").write_text(json.dumps(results(successes.get(out.name, 4))))
        return 0

    return drive


def test_study_drives_its_rows_and_tells_them_apart(tmp_path):
    calls: list = []
    asked = options(tmp_path, "context", "--variant", "random=other")
    assert study(asked, driver(calls, {"random": 1})) == 0
    assert [call[0] for call in calls] == ["trained", "trained", "other"]
    assert calls[1][2][-2:] == ["--context", "frozen"]
    table = (tmp_path / "context.md").read_text()
    assert "| live | 100 (51 to 100) |" in table and "-75 (" in table
    plot = xml.etree.ElementTree.fromstring((tmp_path / "context.svg").read_text())
    assert len([one for one in plot.iter() if one.tag.endswith("rect")]) == 6
    assert set(json.loads((tmp_path / "context.json").read_text())) == {"live", "frozen", "random"}


def test_compact_contexts_are_flags_of_the_server(tmp_path):
    calls: list = []
    study(options(tmp_path, "compact"), driver(calls, {}))
    assert [call[1][1] for call in calls] == ["native", "fp8_e4m3", "int8"]


def test_study_ends_where_a_row_fails(tmp_path):
    assert study(options(tmp_path, "staleness"), lambda *_: 1) == 1
    assert not (tmp_path / "staleness.md").exists()


@pytest.mark.parametrize("name", STUDIES)
def test_every_row_is_a_command_that_closed_loop_takes(name):
    parser = argparse.ArgumentParser()
    closed_loop.add_arguments(parser)
    for row in STUDIES[name]:
        parser.parse_args(["--out", "x", *row.drive])


def test_variant_without_a_folder_is_refused(tmp_path, capsys):
    command = ["study", "context", "--bin-dir", "b", "--checkpoint", "c", "--variant", "random"]
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert "NAME=DIR" in capsys.readouterr().err
