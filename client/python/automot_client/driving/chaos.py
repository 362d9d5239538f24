"""Faults of the reasoning process drawn from one seed: frozen, or killed and started again, now and then."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from automot_client.driving.faults import FaultEvent, FaultInjector, FaultPlan


def draw_plans(seed: int, seconds: float) -> list[FaultPlan]:
    """The faults of a run of so many simulated seconds, in order and apart from each other."""
    drawn = random.Random(seed)
    plans: list[FaultPlan] = []
    at_s = drawn.uniform(3.0, 6.0)
    while True:
        duration_s = round(drawn.uniform(0.5, 2.5), 2)
        if at_s + duration_s + 2.0 > seconds:
            return plans
        plans.append(FaultPlan(drawn.choice(("freeze", "restart")), round(at_s, 2), duration_s))
        at_s += duration_s + drawn.uniform(4.0, 8.0)


class ChaosInjector:
    """Applies the drawn faults, one after the other, to a process and its successors."""

    def __init__(
        self,
        plans: list[FaultPlan],
        pid: int,
        restart_command: str,
        send_signal: Callable[[int, int], None] = os.kill,
    ) -> None:
        self._waiting = list(plans)
        self._pid = pid
        self._command = restart_command
        self._send = send_signal
        self._used: list[FaultInjector] = []

    def advance(self, simulated_s: float) -> FaultEvent | None:
        """Does what is due at this second; the event when something was done."""
        if not self._used or self._used[-1].ended:
            if not self._waiting:
                return None
            if self._used and self._used[-1].successor is not None:
                self._pid = self._used[-1].successor
            plan = self._waiting.pop(0)
            self._used.append(FaultInjector(plan, self._pid, self._command, self._send))
        return self._used[-1].advance(simulated_s)

    def close(self) -> None:
        """Lets a frozen process go on and ends every process that was started here."""
        for injector in self._used:
            injector.close()
