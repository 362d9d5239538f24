"""Load by locust: each user is a vehicle that plans at a rate of its own, open loop.

    locust -f locustfile.py --headless -u 16 -r 4 -t 2m --planning-address 127.0.0.1:50051 --rates-hz 20,10

Rows of the statistics: `grpc plan`, latency from the intended start, with a failure per refused, late, wrong,
unsent or failed tick; `grpc plan (from sent)`, latency of the call; `flag STALE` and so on, a row per reason
that answers were flagged with, whose "latency" is the staleness of the context. Read the rows, not their
total: it counts a tick once per row. README.md beside this file has the options.
"""

from __future__ import annotations

import itertools
from argparse import ArgumentTypeError
from typing import Any, ClassVar

import grpc.experimental.gevent
from locust import User, constant, events, task
from locust.runners import MasterRunner

from automot_client.client import Deadlines, PlannerClient, SessionOptions
from automot_client.loading.load_session import LoadSession
from automot_client.loading.paced_vehicle import LATE, Outcome, PacedVehicle
from automot_client.loading.synthetic import SyntheticVehicle

_DEFAULT_CAMERA = (256, 128)
_LOOKS = 8  # Different views; vehicles take them in turn, because making more only costs time.


class TickFailed(Exception):
    """What locust counts as a failure; its text is the kind."""


def rates(text: str) -> list[float]:
    """Rates of a list with commas, Hz."""
    values = [float(part) for part in text.split(",")]
    if not all(0 < value <= 1000 for value in values):
        raise ArgumentTypeError(f"{text} has a rate that is not above 0 and at most 1000 Hz")
    return values


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """The load's own options, also as environment variables."""
    group = parser.add_argument_group("AutoMoT")
    for name, kind, default, text in (
        ("planning-address", str, "127.0.0.1:50051", "where the planning service listens"),
        ("rates-hz", rates, "10", "plans per second; with commas, the vehicles' rates in turn"),
        ("reasoning-rate-hz", float, 2.0, "contexts per second and vehicle"),
        ("time-mode", str, "realtime", "realtime or stepped"),
        ("deadline-seconds", float, 0.1, "after its intended start an answer is late"),
        ("plan-timeout-seconds", float, 1.0, "after its sending a plan is cancelled"),
        ("wait-ready-seconds", float, 60.0, "for the service"),
    ):
        variable = "AUTOMOT_" + name.upper().replace("-", "_")
        group.add_argument(f"--{name}", type=kind, default=default, env_var=variable, help=text)


@events.init.add_listener
def use_greenlets(**_: Any) -> None:
    """Locust runs users in greenlets: a call must not stop the others. After `--processes` has forked."""
    grpc.experimental.gevent.init_gevent()


@events.test_start.add_listener
def make_looks(environment: Any, **_: Any) -> None:
    """Waits for the service and makes what the vehicles see before the first one starts: it takes a while."""
    if isinstance(environment.runner, MasterRunner):
        return  # Its workers plan.
    options = environment.parsed_options
    with PlannerClient(options.planning_address) as client:
        client.wait_ready(options.wait_ready_seconds)
        camera = client.server_info().camera_size or _DEFAULT_CAMERA
    Vehicle.looks = [SyntheticVehicle(seed, camera) for seed in range(_LOOKS)]


class Vehicle(User):
    """One vehicle with a session of its own."""

    wait_time = constant(0)  # The vehicle waits for its next intended start by itself.
    looks: ClassVar[list[SyntheticVehicle]] = []
    _numbers = itertools.count()

    def on_start(self) -> None:
        """Takes its rate and looks in turn; the first tick opens the session."""
        options = self.environment.parsed_options
        number = next(self._numbers)
        rate_hz = options.rates_hz[number % len(options.rates_hz)]
        deadlines = Deadlines(plan_s=options.plan_timeout_seconds)
        self._client = PlannerClient(options.planning_address, deadlines=deadlines)
        self._look = self.looks[number % len(self.looks)]
        self._session = LoadSession(
            self._client,
            SessionOptions(
                planning_rate_hz=rate_hz,
                reasoning_rate_hz=options.reasoning_rate_hz,
                time_mode=options.time_mode,
            ),
        )
        self._vehicle = PacedVehicle(rate_hz, options.deadline_seconds)

    def on_stop(self) -> None:
        """Ends the session and the connection."""
        if hasattr(self, "_session"):
            self._session.close()
        if hasattr(self, "_client"):
            self._client.close()

    @task
    def tick(self) -> None:
        """Plans the next tick, and reports it and those that were given up on."""
        for outcome in self._vehicle.tick(self._look.observe, self._session.plan):
            self._report(outcome)

    def _report(self, outcome: Outcome) -> None:
        failure = TickFailed(outcome.failure) if outcome.failure else None
        self._fire("grpc", "plan", outcome.from_intended_s, failure)
        if outcome.failure in ("", LATE):
            self._fire("grpc", "plan (from sent)", outcome.from_sent_s)
        for flag in sorted(outcome.flags):
            self._fire("flag", flag, outcome.staleness_s or 0.0)

    def _fire(self, kind: str, name: str, seconds: float, failure: Exception | None = None) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1e3,
            response_length=0,
            exception=failure,
            context={},
        )
