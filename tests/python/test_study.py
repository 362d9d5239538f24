"""A study: its rows, what each is driven with, its table and plot."""

from __future__ import annotations

import argparse
import json
import xml.etree.ElementTree
from pathlib import Path

import pytest

from automot_client.bridge.world import EpisodeEnd
from automot_client.evaluate import main
from automot_client.evaluation import closed_loop, open_loop
from automot_client.evaluation.open_loop_scores import per_episode
from automot_client.evaluation.open_loop_scores import summarise as summarise_open
from automot_client.evaluation.results import summarise
from automot_client.evaluation.scoring import RouteResult, infractions_of
from automot_client.evaluation.study import add_arguments, read_rows, study
from automot_client.evaluation.study_rows import STUDIES
from automot_client.evaluation.study_tables import paired


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


def distances(metres: dict[str, float], planning_ms: float) -> dict:
    """Results of an open loop: each episode's distance at 3 s, a third of it at 1 s, over 2 frames."""
    scores = {}
    for name, far in metres.items():
        frame = {"l2_m": [far * k / 6 for k in range(1, 7)], "plan_ms": [planning_ms] * 3}
        frame |= {"collided": [None] * 6, "label_collided": [None] * 6, "speed_mps": 5.0}
        frame |= {"wanted_mps": [5.0, 5.0], "decisions": [[2, 2, 2], [2, 2, 2]]}
        scores[name] = [frame] * 2
    figures = summarise_open(list(scores.values())) | {"per_episode": per_episode(scores)}
    return figures | {
        "settings": {"split": "validation", "every": 5, "model_revision": "0123456789abc"}
    }


def driver(calls: list, found: dict[str, dict], otherwise: dict):
    def drive(checkpoint: Path, flags, arguments: list[str]) -> int:
        out = Path(arguments[arguments.index("--out") + 1])
        calls.append((str(checkpoint), tuple(flags), arguments))
        (out / "results.json").write_text(json.dumps(found.get(out.name, otherwise)))
        return 0

    return drive


def test_study_drives_its_rows_and_tells_them_apart(tmp_path):
    calls: list = []
    asked = options(
        tmp_path, "context", "--variant", "random=other", "--hidden-variant", "absent=third"
    )
    assert (
        study(asked, read_rows(asked), driver(calls, {"variant-random": results(1)}, results(4)))
        == 0
    )
    assert [call[0] for call in calls] == ["trained"] * 3 + ["other", "third"]
    assert [call[1] for call in calls[2:]] == [("--hide-contexts",), (), ("--hide-contexts",)]
    assert calls[1][2][-2:] == ["--context", "frozen"]
    table = (tmp_path / "context.md").read_text()
    assert "| live | 100 (51 to 100) |" in table and "-75 (" in table
    assert "plan, ms" not in table, "contexts are waited for alike in all rows"
    plot = xml.etree.ElementTree.fromstring((tmp_path / "context.svg").read_text())
    assert len([one for one in plot.iter() if one.tag.endswith("rect")]) == 10
    assert plot.get("viewBox", "").startswith("0 0 720 "), "no name is longer than the margin"
    found = json.loads((tmp_path / "context.json").read_text())
    assert list(found) == ["live", "frozen", "none", "random", "absent"]


def test_compact_contexts_are_flags_of_the_server(tmp_path):
    calls: list = []
    asked = options(tmp_path, "compact")
    study(asked, read_rows(asked), driver(calls, {}, results(4)))
    flags = [(), ("--context-dtype", "fp8_e4m3"), ("--context-dtype", "int8")]
    assert [call[1] for call in calls] == flags
    plot = xml.etree.ElementTree.fromstring((tmp_path / "compact.svg").read_text())
    assert plot.get("viewBox", "").startswith("-4 0 724 ")


def test_rows_that_differ_in_nothing_are_run_once(tmp_path):
    calls: list = []
    for name in ("staleness", "sensors"):
        asked = options(tmp_path, name)
        study(asked, read_rows(asked), driver(calls, {}, results(4)))
    out = [call[2][call[2].index("--out") + 1] for call in calls]
    assert len(out) - len(set(out)) == 1, "0 s and full are one run, resumed"


def test_open_loop_pairs_rows_by_episode(tmp_path):
    calls: list = []
    first = distances({"seed-1": 3.0, "seed-2": 6.0}, 30.0)
    later = distances({"seed-1": 3.3, "seed-2": 6.3}, 12.0)
    asked = options(tmp_path, "staleness", "--open-loop", "data", "--every", "5")
    assert (
        study(asked, read_rows(asked), driver(calls, {"reasoning-rate-hz-20": first}, later)) == 0
    )
    assert calls[0][2][-2:] == ["--reasoning-rate-hz", "20"]
    table = (tmp_path / "staleness-open-loop.md").read_text()
    assert "| coupled | 1.50 (1.00 to 2.00) | 3.00 (2.00 to 4.00) |" in table
    assert "| 30 (30 to 30) | 30 (30 to 30) | +0.000 (+0.000 to +0.000) |" in table
    # Each episode is 0.2 m worse, however far apart the two are.
    assert table.count("| 12 (12 to 12) | +0.200 (+0.200 to +0.200) |") == 5
    assert "| 100 (100 to 100) | - | - |" in table, "nothing braked"
    assert "Model `0123456789ab`." in table and "(staleness-open-loop.svg)" in table
    plot = xml.etree.ElementTree.fromstring((tmp_path / "staleness-open-loop.svg").read_text())
    bars = [one for one in plot.iter() if one.get("class") == "bar"]
    assert len(bars) == 6
    width = [float(bar.attrib["width"]) for bar in bars]
    assert width[-1] / width[0] == pytest.approx(3.0 / 3.2, rel=1e-2)


def test_runs_without_a_common_episode_are_not_paired():
    with pytest.raises(ValueError, match="no episode"):
        paired(distances({"a": 1.0}, 1.0), distances({"b": 1.0}, 1.0))


def test_study_ends_where_a_row_fails(tmp_path):
    asked = options(tmp_path, "staleness")
    assert study(asked, read_rows(asked), lambda *_: 1) == 1
    assert not (tmp_path / "staleness.md").exists()


@pytest.mark.parametrize("name", STUDIES)
def test_every_row_is_a_command_that_both_loops_take(name):
    for loop, fixed in ((closed_loop, ()), (open_loop, ("--data", "d", "--service", "s"))):
        parser = argparse.ArgumentParser()
        loop.add_arguments(parser)
        for row in STUDIES[name]:
            parser.parse_args(["--out", "x", *fixed, *row.drive])


def test_variant_without_a_folder_is_refused(tmp_path, capsys):
    command = ["study", "context", "--bin-dir", "b", "--checkpoint", "c", "--variant", "random"]
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert "NAME=DIR" in capsys.readouterr().err
