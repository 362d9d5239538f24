"""What automot-serve exports while a recorded episode is planned."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from automot_client.client import Deadlines, PlannerClient, SessionOptions
from automot_client.episode import read_episode
from serving import START_LIMIT_S, missing_program, running_service

ROOT = Path(__file__).parents[2]
PLANS = 40


def scrape(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return answer.read().decode()


def value(text: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    assert found, f"{series} is not in the scrape"
    return float(found.group(1))


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory) -> tuple[str, str, int]:
    """Before and after an episode; and the distinct snapshots that its plans used."""
    missing = missing_program()
    if missing:
        pytest.skip(missing)
    episode = read_episode(ROOT / "tests/data/episode")[:PLANS]
    options = SessionOptions(planning_rate_hz=10.0, reasoning_rate_hz=2.0, time_mode="stepped")
    with (
        running_service(tmp_path_factory.mktemp("metrics")) as addresses,
        PlannerClient(addresses["planning"], deadlines=Deadlines(plan_s=60.0)) as client,
    ):
        client.wait_ready(START_LIMIT_S)
        before = scrape(addresses["metrics"])
        with client.open_session("metered", options) as session:
            plans = [session.plan(observation) for observation in episode]
            after = scrape(addresses["metrics"])
    return before, after, len({plan.snapshot for plan in plans})


def test_answers_and_snapshots_are_counted(scrapes):
    before, after, snapshots = scrapes
    answered = 'automot_plans_total{outcome="answered"}'
    assert value(before, answered) == 0
    assert value(after, answered) == PLANS
    assert (
        value(
            after, 'automot_stage_seconds_count{loop="planning",stage="bev_encoder",rate_hz="10"}'
        )
        == PLANS
    )
    assert (
        value(after, 'automot_context_staleness_seconds_count{clock="simulated",rate_hz="10"}')
        == PLANS
    )
    assert value(after, "automot_snapshots_received_total") >= snapshots > 1
    assert value(after, 'automot_refreshes_total{outcome="published"}') >= snapshots
    assert value(after, 'automot_snapshot_bytes_sum{loop="planning"}') > 0
    assert value(after, "automot_sessions") == 1
    assert value(after, "automot_attachments") == 1


def test_it_says_what_runs(scrapes):
    _, after, _ = scrapes
    assert value(after, 'automot_lane_info{lane="in_process"}') == 1
    for loop in ("planning", "reasoning"):
        assert value(after, f'automot_ready{{loop="{loop}"}}') == 1
        assert re.search(
            rf'^automot_model_info{{loop="{loop}",model_revision="\w', after, re.MULTILINE
        )


def test_every_metric_is_documented(scrapes):
    page = (ROOT / "docs/metrics.md").read_text()
    documented = set(
        re.findall(r"^\| `(\w+)` \| (?:counter|gauge|histogram|summary) \|", page, re.MULTILINE)
    )
    assert set(re.findall(r"^# TYPE (\w+)", scrapes[1], re.MULTILINE)) == documented


def test_promtool_has_nothing_to_say(scrapes):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool (Debian package prometheus)")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scrapes[1], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
