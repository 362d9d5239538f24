"""The locust file, without locust: its users as locust calls them, against both services in process.

Locust and what it needs are as large as all the other packages of the tests together; the file names the
version that it was run with.
"""

from __future__ import annotations

import importlib.util
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from types import ModuleType, SimpleNamespace

import grpc
import grpc.experimental
import pytest

from automot_client.client import Deadlines, PlannerClient, SessionOptions
from automot_client.loading.load_session import LoadSession
from automot_client.loading.paced_vehicle import PacedVehicle
from automot_client.loading.synthetic import SyntheticVehicle
from fake_planning_server import FakeServer
from test_load import ManualTime, Planner

FILE = Path(__file__).parents[2] / "client" / "python" / "loadtest" / "locustfile.py"
VEHICLE = SyntheticVehicle(0, (32, 16))


def outcomes(seconds: list[float | None], calls: int, **limits: float) -> tuple[list, Planner]:
    """What a vehicle at 10 Hz reports over `calls` calls whose plans take the given seconds."""
    time = ManualTime()
    planner = Planner(time, seconds)
    vehicle = PacedVehicle(10.0, **{"deadline_s": 0.1, **limits}, clock=time.clock, wait=time.wait)
    found = []
    for _ in range(calls):
        found += vehicle.tick(VEHICLE.observe, planner.plan)
    return found, planner


def test_ticks_start_at_their_intended_times():
    found, planner = outcomes([0.01] * 4, calls=4)
    assert planner.observed == [0, 100_000, 200_000, 300_000]
    assert [outcome.failure for outcome in found] == [""] * 4
    assert [outcome.from_intended_s for outcome in found] == pytest.approx([0.01] * 4)


def test_ticks_that_a_stall_held_up_are_late_though_their_own_plans_are_fast():
    found, _ = outcomes([0.01, 0.35, 0.01, 0.01, 0.01], calls=5)
    assert [outcome.failure for outcome in found] == ["", "LATE", "LATE", "LATE", ""]
    assert [outcome.from_intended_s for outcome in found] == pytest.approx(
        [0.01, 0.35, 0.26, 0.17, 0.08]
    )
    assert found[2].from_sent_s == pytest.approx(0.01)


def test_refused_ticks_are_told_from_failed_ones():
    found, _ = outcomes([None, 0.01], calls=2)
    assert [outcome.failure for outcome in found] == ["REFUSED", ""]


def test_ticks_whose_turn_never_came_are_counted_one_by_one():
    found, planner = outcomes([2.0, 0.01], calls=2, patience_s=1.0)
    # At 2.0 s the ticks of 0.1 to 0.9 s have waited longer than 1 s.
    assert [outcome.failure for outcome in found] == ["LATE", *["UNSENT"] * 9, "LATE"]
    assert planner.observed == [0, 1_000_000]


def test_answer_to_another_tick_is_wrong():
    time = ManualTime()
    planner = Planner(time, [0.01, 0.01])
    vehicle = PacedVehicle(10.0, 0.1, clock=time.clock, wait=time.wait)
    first = planner.plan(VEHICLE.observe(7))
    (found,) = vehicle.tick(VEHICLE.observe, lambda observation: first)
    assert found.failure == "WRONG"


@pytest.fixture
def server():
    server = FakeServer()
    yield server
    server.stop()


def test_lost_session_is_opened_anew(server):
    with PlannerClient(server.address, deadlines=Deadlines(plan_s=10.0)) as client:
        session = LoadSession(client, SessionOptions())
        session.plan(VEHICLE.observe(0))
        server.planning.plan_failures.append(grpc.StatusCode.NOT_FOUND)
        with pytest.raises(grpc.RpcError):
            session.plan(VEHICLE.observe(1))
        session.plan(VEHICLE.observe(2))
        session.close()
        session.close()
    assert len({plan.session for plan in server.planning.plans}) == 2
    assert server.planning.closed == [77]


class Hook(list):
    """An event of locust: listeners, and firing them."""

    def add_listener(self, listener):
        self.append(listener)
        return listener

    def fire(self, **values):
        for listener in self:
            listener(**values)


class ArgumentGroup:
    """Collects the defaults of the options."""

    def __init__(self):
        self.options = SimpleNamespace()

    def add_argument_group(self, title):
        return self

    def add_argument(self, flag, *, type, default, env_var, help):
        assert env_var == "AUTOMOT_" + flag[2:].upper().replace("-", "_") and help
        setattr(self.options, flag[2:].replace("-", "_"), type(default))


class User:
    def __init__(self, environment):
        self.environment = environment


def locust_modules() -> dict[str, ModuleType]:
    """What the file takes from locust and from grpc's gevent support."""
    locust, runners = ModuleType("locust"), ModuleType("locust.runners")
    gevent = ModuleType("grpc.experimental.gevent")
    gevent.init_gevent = lambda: None
    runners.MasterRunner = type("MasterRunner", (), {})
    locust.User, locust.task, locust.constant = User, lambda function: function, lambda wait: wait
    locust.events = SimpleNamespace(
        init_command_line_parser=Hook(), init=Hook(), test_start=Hook(), request=Hook()
    )
    return {"locust": locust, "locust.runners": runners, gevent.__name__: gevent}


@pytest.fixture
def locustfile(monkeypatch):
    for name, module in locust_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    gevent = sys.modules["grpc.experimental.gevent"]
    monkeypatch.setattr(grpc.experimental, "gevent", gevent, raising=False)
    spec = importlib.util.spec_from_file_location("locustfile", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_users_plan_and_report_what_locust_counts(locustfile, server):
    events, parser = sys.modules["locust"].events, ArgumentGroup()
    for listener in events.init_command_line_parser:
        listener(parser)
    options = parser.options
    options.planning_address, options.deadline_seconds = server.address, 10.0
    options.rates_hz = locustfile.rates("200,50")
    environment = SimpleNamespace(parsed_options=options, events=events, runner=None)
    reported = []
    events.request.add_listener(lambda **values: reported.append(values))
    events.test_start.fire(environment=environment)
    users = [locustfile.Vehicle(environment) for _ in range(2)]
    for user in users:
        user.on_start()
        user.tick()
        user.tick()
    server.planning.plan_failures.append(grpc.StatusCode.RESOURCE_EXHAUSTED)
    users[0].tick()
    for user in users:
        user.on_stop()
    rows = [(row["request_type"], row["name"], str(row["exception"] or "")) for row in reported]
    assert rows.count(("grpc", "plan", "")) == rows.count(("grpc", "plan (from sent)", "")) == 4
    assert rows.count(("grpc", "plan", "REFUSED")) == 1
    assert rows.count(("flag", "STALE", "")) == 4
    assert {row["response_time"] for row in reported if row["name"] == "STALE"} == {250.0}
    assert server.planning.opened.options.planning_rate_hz == 50.0, "the second vehicle's own rate"
    assert len(server.planning.closed) == 2


def test_rates_that_cannot_be_are_refused(locustfile):
    for text in ("0", "10,-1", "5000", "nan"):
        with pytest.raises(ArgumentTypeError, match=text):
            locustfile.rates(text)


def test_a_master_leaves_the_planning_to_its_workers(locustfile):
    master = sys.modules["locust.runners"].MasterRunner()
    locustfile.make_looks(SimpleNamespace(runner=master))
    assert locustfile.Vehicle.looks == []
