"""Numbers, charts and page of a recorded run."""

from __future__ import annotations

import json

import pytest

from automot_client import report
from automot_client.reporting import page
from automot_client.reporting.record import RunRecord
from automot_client.reporting.summary import percentiles, summarize
from automot_client.reporting.svg import nice_ticks
from automot_client.reporting.video import BirdsEye, compose_frame

CONTRACT_KEYS = {
    "weights",
    "ticks",
    "simulated_seconds",
    "plans_failed",
    "plans_flagged",
    "plans_fallback",
    "route_completion",
    "collisions",
    "off_road",
    "episodes",
    "planning_ms",
    "reasoning_ms",
    "staleness_s",
    "snapshots_used",
    "lane",
    "pace_factor",
    "model_revision",
}


def test_percentiles_interpolate_between_ranks():
    numbers = percentiles(list(range(101)))
    assert numbers == {"p50": 50.0, "p99": 99.0, "max": 100.0}
    assert percentiles([1.0, 2.0]) == {"p50": 1.5, "p99": 1.99, "max": 2.0}


def test_percentiles_of_nothing_are_absent_not_zero():
    assert percentiles([]) == {"p50": None, "p99": None, "max": None}


def test_summary_has_the_keys_that_others_rely_on(recorded_run):
    summary = summarize(RunRecord.load(recorded_run))
    assert summary.keys() >= CONTRACT_KEYS
    assert {"p50", "p99", "max"} <= summary["planning_ms"].keys()
    assert {"p50", "p99", "max"} <= summary["staleness_s"].keys()
    assert {"p50", "p99"} <= summary["reasoning_ms"].keys()


def test_summary_counts_what_happened(recorded_run):
    summary = summarize(RunRecord.load(recorded_run))
    assert summary["weights"] == "untrained"
    assert (summary["ticks"], summary["simulated_seconds"]) == (20, 1.0)
    assert (summary["plans_failed"], summary["plans_flagged"], summary["plans_fallback"]) == (
        1,
        1,
        1,
    )
    assert summary["reasons"] == {"FALLBACK": 1, "NO_CONTEXT": 1}
    assert summary["snapshots_used"] == 2
    assert summary["pace_factor"] == 0.5
    assert (summary["episodes"], summary["collisions"], summary["off_road"]) == (2, 1, 0)
    assert summary["reasoning_ms"]["p50"] == 200.0
    assert summary["staleness_s"]["max"] == 0.45


def test_failed_ticks_are_not_in_the_latency(recorded_run):
    summary = summarize(RunRecord.load(recorded_run))
    assert summary["planning_ms"]["max"] == 29.0
    lines = (recorded_run / "ticks.jsonl").read_text().splitlines()
    last = json.loads(lines[-1]) | {"plan": None}
    (recorded_run / "ticks.jsonl").write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n")
    assert summarize(RunRecord.load(recorded_run))["planning_ms"]["max"] == 28.0


def test_route_completion_leaves_out_the_episode_that_time_cut(recorded_run):
    assert summarize(RunRecord.load(recorded_run))["route_completion"] == 0.4


def test_page_warns_in_large_letters_when_untrained(recorded_run):
    record = RunRecord.load(recorded_run)
    summary = summarize(record)
    assert "UNTRAINED WEIGHTS" in page.render(record, summary, None)
    trained = page.render(record, summary | {"weights": "trained"}, None)
    assert "UNTRAINED WEIGHTS" not in trained


def test_page_is_one_file_that_needs_no_network(recorded_run):
    record = RunRecord.load(recorded_run)
    text = page.render(record, summarize(record), None)
    assert "http://" not in text and "https://" not in text and "$" not in text
    for part in (
        "staleness over time",
        "snapshot version over time",
        "decisions and reasons",
        "no_context".upper(),
    ):
        assert part in text
    assert "reasoning frozen" in text


def test_page_escapes_what_the_server_sent(recorded_run):
    record = RunRecord.load(recorded_run)
    summary = summarize(record) | {"model_revision": "<script>x</script>"}
    assert "<script>" not in page.render(record, summary, None)


def test_write_makes_both_files_with_a_film(recorded_run):
    summary = report.write(recorded_run)
    assert json.loads((recorded_run / "report.json").read_text()) == summary
    text = (recorded_run / "report.html").read_text()
    assert "data:video/mp4;base64," in text or "data:image/webp;base64," in text


def test_frame_shows_trajectory_and_survives_a_failed_tick(recorded_run):
    record = RunRecord.load(recorded_run)
    view = BirdsEye(record.scene(0), 384)
    with_plan = compose_frame(record, record.ticks[0], view)
    without = compose_frame(record, record.ticks[0] | {"plan": None, "error": "UNAVAILABLE"}, view)
    assert with_plan.size == without.size == (1152, 384)
    assert with_plan.tobytes() != without.tobytes()


def test_frame_keeps_the_shape_of_another_camera(recorded_run):
    record = RunRecord.load(recorded_run)
    record.run["camera"].update(width=128, height=96)
    frame = compose_frame(record, record.ticks[0], BirdsEye(record.scene(0), 384))
    assert frame.size == (512 + 384, 384)


def test_fault_ends_at_its_next_event_or_with_the_run(recorded_run):
    record = RunRecord.load(recorded_run)
    assert record.fault_spans == [(0.4, 0.6, "reasoning frozen")]
    del record.run["events"][1]
    assert record.fault_spans == [(0.4, 1.0, "reasoning frozen")]


def test_film_says_untrained_and_names_the_running_fault(recorded_run):
    record = RunRecord.load(recorded_run)
    view = BirdsEye(record.scene(0), 384)

    def frame_at(number: int, trained: bool) -> bytes:
        record.run["server"]["weights_trained"] = trained
        tick = record.ticks[0] | {"tick": number}
        (record.folder / "frames" / f"{number:06d}.jpg").write_bytes(
            (record.folder / "frames" / "000000.jpg").read_bytes()
        )
        return compose_frame(record, tick, view).tobytes()

    quiet, untrained, frozen = frame_at(1, True), frame_at(1, False), frame_at(9, True)
    assert quiet != untrained and quiet != frozen
    assert frame_at(13, True) == quiet


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 63.0), (2.0, 2.0001), (0.0, 1e6)])
def test_axis_ticks_are_few_and_inside(low, high):
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-6 <= tick <= high + 1e-6 for tick in ticks)
