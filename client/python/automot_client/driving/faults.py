"""Faults of the reasoning process on purpose: stopped, killed, or killed and started again."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class FaultPlan:
    """What happens to the reasoning process, in seconds of simulated time.

    kind: 'freeze' (SIGSTOP, later SIGCONT), 'kill' (SIGKILL), 'restart' (SIGKILL, later started again).
    """

    kind: str
    at_s: float
    duration_s: float = 10.0

    @staticmethod
    def parse(text: str, duration_s: float = 10.0) -> FaultPlan:
        """Reads KIND@SECOND; ValueError otherwise."""
        match = re.fullmatch(r"(freeze|kill|restart)@(\d+(?:\.\d+)?)", text)
        if match is None:
            raise ValueError(f"fault {text!r}: want freeze@S, kill@S or restart@S")
        return FaultPlan(match[1], float(match[2]), duration_s)


@dataclass(frozen=True)
class FaultEvent:
    """Something that was done, at a second of simulated time."""

    at_s: float
    what: str


class Injector(Protocol):
    """What a drive asks at every tick."""

    def advance(self, simulated_s: float) -> FaultEvent | None:
        """Does what is due at this second; the event when something was done."""

    def close(self) -> None:
        """Undoes what must not outlive the drive."""


class FaultInjector:
    """Applies a FaultPlan to one process. Not safe for use by several threads."""

    def __init__(
        self,
        plan: FaultPlan,
        pid: int,
        restart_command: str | None = None,
        send_signal: Callable[[int, int], None] = os.kill,
    ) -> None:
        if plan.kind == "restart" and not restart_command:
            raise ValueError("fault restart needs the command that starts the reasoning service")
        self._plan = plan
        self._pid = pid
        self._command = restart_command
        self._send = send_signal
        self._begun = False
        self._ended = plan.kind == "kill"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def ended(self) -> bool:
        """Nothing more is due."""
        return self._begun and self._ended

    @property
    def successor(self) -> int | None:
        """The process that was started in place of the killed one."""
        return None if self._child is None else self._child.pid

    def advance(self, simulated_s: float) -> FaultEvent | None:
        """Does what is due at this second; the event when something was done."""
        if not self._begun and simulated_s >= self._plan.at_s:
            self._begun = True
            stop = signal.SIGSTOP if self._plan.kind == "freeze" else signal.SIGKILL
            self._send(self._pid, stop)
            what = "frozen" if self._plan.kind == "freeze" else "killed"
            return FaultEvent(simulated_s, f"reasoning {what}")
        if (
            self._begun
            and not self._ended
            and simulated_s >= self._plan.at_s + self._plan.duration_s
        ):
            return self._recover(simulated_s)
        return None

    def close(self) -> None:
        """Lets a frozen process go on and ends a process that this object started."""
        if self._begun and not self._ended and self._plan.kind == "freeze":
            self._recover(0.0)
        if self._child is not None:
            self._child.terminate()
            self._child.wait(timeout=15)

    def _recover(self, simulated_s: float) -> FaultEvent:
        self._ended = True
        if self._plan.kind == "freeze":
            self._send(self._pid, signal.SIGCONT)
            return FaultEvent(simulated_s, "reasoning goes on")
        self._child = subprocess.Popen(shlex.split(self._command or ""), stdout=subprocess.DEVNULL)
        return FaultEvent(simulated_s, "reasoning started again")
