"""Asks for plans when their time has come, not when the last answer has.

Every tick has an intended start. A tick that cannot start in time, because the vehicle's last plan is still
outstanding, starts late, and its latency counts from the intended start all the same: a server that stalls is
charged for every tick that it held up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from automot_client.loading.tally import Tally
from automot_client.types import Observation, Plan


@dataclass(frozen=True)
class Schedule:
    """When one vehicle's ticks start: begin, begin + 1 / rate, ...; none starts after `end`."""

    begin_s: float
    rate_hz: float
    ticks: int
    patience_s: float = 1.0

    @property
    def end_s(self) -> float:
        """The last moment at which a late tick is still sent."""
        return self.begin_s + self.ticks / self.rate_hz + self.patience_s

    def intended_s(self, tick: int) -> float:
        """The intended start of a tick."""
        return self.begin_s + tick / self.rate_hz


def run_schedule(
    schedule: Schedule,
    observe: Callable[[int], Observation],
    plan: Callable[[Observation], Plan],
    tally: Tally,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Runs one vehicle's ticks; `observe` takes microseconds since the beginning."""
    for tick in range(schedule.ticks):
        intended = schedule.intended_s(tick)
        if clock() < intended:
            wait(intended - clock())
        sent = clock()
        if sent > schedule.end_s:
            tally.unsent(schedule.ticks - tick)
            return
        try:
            answer = plan(observe(round((intended - schedule.begin_s) * 1e6)))
        except grpc.RpcError as error:
            tally.failed(error.code().name)
        else:
            tally.answered(answer, intended, sent, clock())
