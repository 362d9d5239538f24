"""Faults on purpose, with a recorded signal sender in place of a process."""

from __future__ import annotations

import signal

import pytest

from automot_client.driving.faults import FaultInjector, FaultPlan


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
