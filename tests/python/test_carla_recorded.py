"""The CARLA agent on a recorded drive, in CARLA's formats, against the real services."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from automot_client.carla_agent.agent import agent_class
from automot_client.episode import read_episode
from carla_packets import Moment, make_plan, recorded_drive
from serving import START_LIMIT_S, missing_program, running_service

EPISODE = Path(__file__).parent.parent / "data" / "episode"
WARM_UP = 31


@pytest.fixture(scope="module")
def drive() -> list[Moment]:
    return recorded_drive(read_episode(EPISODE))


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    missing = missing_program()
    if missing:
        pytest.skip(missing)
    with running_service(tmp_path_factory.mktemp("service")) as addresses:
        yield addresses


def play(
    service: dict[str, str], folder: Path, drive: list[Moment], **keys: object
) -> tuple[list, list[dict], dict]:
    """Commands, log and summary of an agent that is fed the drive; its compass starts with NaN."""
    file = folder / "agent.json"
    settings = {"planning_address": service["planning"], "ready_deadline_s": START_LIMIT_S}
    file.write_text(json.dumps({**settings, "record_folder": str(folder), **keys}))
    agent = agent_class()()
    every = drive[::20]
    end = every[-1].pose
    beyond = (end.x + 60.0 * math.cos(end.yaw), end.y + 60.0 * math.sin(end.yaw))
    agent.set_global_plan(*make_plan([(m.pose.x, m.pose.y) for m in every] + [beyond]))
    try:
        agent.setup(f"{file}+recorded")
        camera = agent.sensors()[0]
        assert (camera["width"], camera["height"]) == (256, 128), "the served checkpoint's"
        commands = [
            agent.run_step(moment.packets(compass=math.nan if i == 0 else None), moment.timestamp_s)
            for i, moment in enumerate(drive)
        ]
    finally:
        agent.destroy()
    lines = [json.loads(line) for line in (folder / "recorded.jsonl").read_text().splitlines()]
    return commands, lines[:-1], lines[-1]["summary"]


@pytest.fixture(scope="module")
def played(service, tmp_path_factory, drive):
    """The whole drive with the agent's defaults."""
    return play(service, tmp_path_factory.mktemp("played"), drive)


def test_agent_drives_every_tick_after_its_warm_up(played, drive):
    commands, ticks, summary = played
    # The first compass is NaN: the warm-up begins with the first pose.
    assert summary["stops"] == {"NO_POSE": 1, "WARM_UP": WARM_UP}
    assert summary["planned"] == len(drive) - WARM_UP - 1 > 60
    for command in commands[: WARM_UP + 1]:
        assert (command.throttle, command.brake) == (0.0, 1.0)
    for command in commands[WARM_UP + 1 :]:
        assert -1.0 <= command.steer <= 1.0
        assert 0.0 <= command.throttle <= 1.0 and 0.0 <= command.brake <= 1.0
    planned = ticks[WARM_UP + 1 :]
    assert not {
        "FALLBACK",
        "EXPIRED",
        "NO_CONTEXT",
        "NO_LIDAR",
        "TIME_JUMP",
        "SHORT_HISTORY",
    } & set(summary["reasons"])
    # The first half sweep has no other half; each later one is merged with the tick's before. The context of
    # the first tick, which the second one uses too, says so of itself.
    half = ["HALF_SWEEP" in tick["reasons"] for tick in planned]
    assert half[0] and not any(half[2:])


def test_every_second_tick_has_a_new_context_as_published(played):
    _, ticks, summary = played
    planned = ticks[WARM_UP + 1 :]
    assert summary["staleness_s"]["max"] <= 0.05 + 1e-6
    versions = [tick["snapshot_version"] for tick in planned]
    assert versions == sorted(versions) and len(set(versions)) >= len(planned) // 2


def test_pose_is_the_recorded_one(played, drive):
    _, ticks, _ = played
    # Afterwards the car was driven otherwise than it is told here, which the filter cannot know.
    for tick, moment in list(zip(ticks, drive, strict=True))[1 : WARM_UP + 2]:
        offset = math.hypot(tick["pose"][0] - moment.pose.x, tick["pose"][1] - moment.pose.y)
        assert offset < 0.1
        assert abs(math.remainder(tick["pose"][2] - moment.pose.yaw, 2 * math.pi)) < 1e-3


def test_same_drive_gives_the_same_commands(service, tmp_path, played, drive):
    ticks = WARM_UP + 9
    commands, _, _ = play(service, tmp_path, drive[:ticks])
    assert commands == played[0][:ticks]


def test_simulated_latency_and_lockstep_are_driven(service, tmp_path, drive):
    few = drive[: WARM_UP + 12]
    (tmp_path / "late").mkdir()
    (tmp_path / "lockstep").mkdir()
    _, late, summary = play(service, tmp_path / "late", few, simulated_latency_s=0.2)
    planned = late[WARM_UP + 1 :]
    seen = [tick["staleness_s"] for tick in planned if tick["snapshot_version"] > 0]
    assert seen and min(seen) == pytest.approx(0.2) and max(seen) <= 0.3
    assert [tick["stop"] for tick in planned] == [""] * len(planned)
    # 0.2 s after the first frame: until then there is nothing to plan on.
    assert summary["reasons"]["NO_CONTEXT"] == summary["reasons"]["FALLBACK"] == 4
    _, locked, _ = play(service, tmp_path / "lockstep", few, time_mode="lockstep", lockstep_ticks=5)
    seen = [tick["staleness_s"] for tick in locked[WARM_UP + 1 :]]
    assert seen[:10] == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2] * 2)


def test_agent_goes_on_when_its_session_was_closed_under_it(service, tmp_path, drive):
    file = tmp_path / "agent.json"
    file.write_text(json.dumps({"planning_address": service["planning"], "rules": "none"}))
    agent = agent_class()()
    agent.set_global_plan(*make_plan([(m.pose.x, m.pose.y) for m in drive[::20]]))
    agent.setup(str(file))
    try:
        for moment in drive[:20]:
            agent.run_step(moment.packets(), moment.timestamp_s)
        agent._link._session.close()  # As when its lease ended, or the service was restarted.
        for moment in drive[20:25]:
            agent.run_step(moment.packets(), moment.timestamp_s)
        assert agent._link.sessions_opened == 2
        summary = agent._log.summary()
    finally:
        agent.destroy()
    assert summary["stops"] == {} and summary["planned"] == 25
    assert "TIME_JUMP" not in summary["reasons"]
