"""Faults on purpose, with a recorded signal sender in place of a process."""

from __future__ import annotations

import json
import signal

import pytest

from automot_client.driving.chaos import ChaosInjector, draw_plans
from automot_client.driving.faults import FaultInjector, FaultPlan
from automot_client.reporting.chaos import summarize_chaos


class Signals:
    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []

    def __call__(self, pid: int, number: int) -> None:
        self.sent.append((pid, number))


def test_freeze_stops_once_and_goes_on_after_its_duration():
    signals = Signals()
    injector = FaultInjector(FaultPlan.parse("freeze@2", duration_s=3.0), 41, send_signal=signals)
    events = [injector.advance(t / 10) for t in range(0, 80)]
    assert signals.sent == [(41, signal.SIGSTOP), (41, signal.SIGCONT)]
    assert [event.at_s for event in events if event] == [2.0, 5.0]


def test_kill_is_not_recovered():
    signals = Signals()
    injector = FaultInjector(FaultPlan.parse("kill@1"), 41, send_signal=signals)
    for t in range(100):
        injector.advance(float(t))
    assert signals.sent == [(41, signal.SIGKILL)]


def test_restart_starts_the_command_and_ends_it_on_close(tmp_path):
    mark = tmp_path / "started"
    command = f"sh -c 'touch {mark}; exec sleep 60'"
    injector = FaultInjector(FaultPlan.parse("restart@1", duration_s=1.0), 41, command, Signals())
    assert injector.advance(1.0).what == "reasoning killed"
    assert injector.advance(2.0).what == "reasoning started again"
    injector.close()


def test_closing_in_the_middle_lets_a_frozen_process_go_on():
    signals = Signals()
    injector = FaultInjector(FaultPlan.parse("freeze@0"), 41, send_signal=signals)
    injector.advance(0.0)
    injector.close()
    assert signals.sent[-1] == (41, signal.SIGCONT)


@pytest.mark.parametrize("text", ["freeze", "freeze@", "melt@3", "kill@-1", "kill@x"])
def test_bad_fault_is_refused(text):
    with pytest.raises(ValueError, match="freeze@S"):
        FaultPlan.parse(text)


def test_restart_without_a_command_is_refused():
    with pytest.raises(ValueError, match="command"):
        FaultInjector(FaultPlan.parse("restart@1"), 41)


def test_chaos_draws_the_same_faults_from_the_same_seed_and_none_overlap():
    plans = draw_plans(5, 60.0)
    assert plans == draw_plans(5, 60.0) != draw_plans(6, 60.0)
    assert len(plans) >= 4
    ends = [plan.at_s + plan.duration_s for plan in plans]
    assert all(end < plan.at_s for end, plan in zip(ends, plans[1:]))
    assert ends[-1] < 60.0


def test_chaos_acts_on_the_process_that_runs_now():
    signals = Signals()
    plans = [
        FaultPlan("freeze", 1.0, 1.0),
        FaultPlan("restart", 4.0, 1.0),
        FaultPlan("freeze", 7.0, 1.0),
    ]
    injector = ChaosInjector(plans, 41, "sleep 60", signals)
    events = [injector.advance(t / 10) for t in range(0, 100)]
    injector.close()
    assert [event.what for event in events if event] == [
        "reasoning frozen",
        "reasoning goes on",
        "reasoning killed",
        "reasoning started again",
        "reasoning frozen",
        "reasoning goes on",
    ]
    assert [number for _, number in signals.sent] == [
        signal.SIGSTOP,
        signal.SIGCONT,
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGCONT,
    ]
    assert [pid for pid, _ in signals.sent[:3]] == [41, 41, 41]
    assert signals.sent[3][0] == signals.sent[4][0] != 41


def test_chaos_is_summed_up_from_the_logs(tmp_path):
    reasoning = [
        {"event": "chaos_on", "seed": 9},
        {"event": "chaos", "injected": "drop,flip_bits", "plan_seed": 1},
        {"event": "chaos", "injected": "drop", "plan_seed": 2},
    ]
    planning = [
        {"event": "refresh_failed", "why": "DATA_LOSS: chunk {layer 1} has hash 1, announced 2"},
        {"event": "refresh_failed", "why": "ABORTED: header.id.epoch is 3, the one in force is 4"},
        {"event": "start"},
    ]
    (tmp_path / "reasoning.log").write_text("\n".join(map(json.dumps, reasoning)) + '\n{"half')
    (tmp_path / "planning.log").write_text("\n".join(map(json.dumps, planning)))
    assert summarize_chaos(tmp_path) == {
        "seed": 9,
        "injected": {"drop": 2, "flip_bits": 1},
        "refused": {"chunk hash": 1, "fenced producer": 1},
    }
    assert summarize_chaos(tmp_path / "elsewhere") is None
