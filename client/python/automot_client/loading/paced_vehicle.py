"""One vehicle on an open-loop schedule without an end, a tick per call, for load tools with their own loops.

As in `open_loop`, a tick has an intended start and its latency counts from there: a tick that waits for the
vehicle's last plan is charged for the wait. One that waits longer than the patience is not sent, and counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc

from automot_client.types import Observation, Plan

REFUSED, LATE, WRONG, UNSENT = "REFUSED", "LATE", "WRONG", "UNSENT"


@dataclass(frozen=True)
class Outcome:
    """What came of a tick; times are seconds.

    failure: empty for a right answer in time; REFUSED (over capacity), LATE (after the deadline), WRONG
    (another tick's answer), UNSENT (its turn never came), else the status of the plan.
    flags: the answer's reasons, such as STALE or FALLBACK.
    """

    failure: str
    from_intended_s: float
    from_sent_s: float = 0.0
    flags: frozenset[str] = frozenset()
    staleness_s: float | None = None


class PacedVehicle:
    """A vehicle's ticks at its own rate. Not thread-safe."""

    def __init__(
        self,
        rate_hz: float,
        deadline_s: float,
        patience_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """The first tick is due now. deadline_s: after its intended start an answer is late."""
        self._period_s = 1.0 / rate_hz
        self._deadline_s = deadline_s
        self._patience_s = patience_s
        self._clock = clock
        self._wait = wait
        self._begin_s = clock()
        self._tick = 0

    def tick(
        self, observe: Callable[[int], Observation], plan: Callable[[Observation], Plan]
    ) -> Iterator[Outcome]:
        """Waits for the next tick's turn and plans it; also yields the ticks given up on before it.

        `observe` takes microseconds since the vehicle's beginning. `plan` raises grpc.RpcError.
        """
        yield from self._give_up_old_ticks()
        intended = self._intended_s()
        if self._clock() < intended:
            self._wait(intended - self._clock())
        observation = observe(round((intended - self._begin_s) * 1e6))
        self._tick += 1
        sent = self._clock()
        try:
            answer = plan(observation)
        except grpc.RpcError as error:
            refused = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            done = self._clock()
            yield Outcome(REFUSED if refused else error.code().name, done - intended, done - sent)
            return
        done = self._clock()
        failure = LATE if done - intended > self._deadline_s else ""
        if answer.capture_time_us != observation.capture_time_us:
            failure = WRONG
        yield Outcome(failure, done - intended, done - sent, answer.reasons, answer.staleness_s)

    def _intended_s(self) -> float:
        return self._begin_s + self._tick * self._period_s

    def _give_up_old_ticks(self) -> Iterator[Outcome]:
        now = self._clock()
        while now - self._intended_s() > self._patience_s:
            yield Outcome(UNSENT, now - self._intended_s())
            self._tick += 1
