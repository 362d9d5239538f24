"""A rolling restart under load fails no plan: two planning and two reasoning processes, replaced in turn.

A plan that the client repeats within its deadline by its policy (automot_client.replicas) has not failed.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import grpc
import pytest

from automot_client.client import Deadlines, PlannerClient, Session, SessionOptions
from automot_client.loading.synthetic import SyntheticVehicle
from replica import LIMIT_S, Replica, missing_program

pytestmark = pytest.mark.skipif(missing_program() is not None, reason=str(missing_program()))

ROUNDS = 100 if os.environ.get("AUTOMOT_LONG_TESTS") == "1" else 3
VEHICLES = 4
PERIOD_S = 0.1
PLAN_DEADLINE_S = 10.0  # Above what a busy machine makes of a tick: what is late is not lost.


class Vehicle(threading.Thread):
    """Plans on and on; remembers what failed, and the newest answer that had a context."""

    def __init__(self, session: Session, eyes: SyntheticVehicle) -> None:
        super().__init__()
        self._session, self._eyes = session, eyes
        self._stopping = threading.Event()
        self.planned = 0
        self.with_context = 0
        self.failures: list[str] = []
        self.homes = {session.address}

    def run(self) -> None:
        begin = time.monotonic()
        while not self._stopping.wait(PERIOD_S):
            try:
                plan = self._session.plan(
                    self._eyes.observe(round((time.monotonic() - begin) * 1e6))
                )
            except grpc.RpcError as error:
                self.failures.append(f"plan {self.planned}: {error.code()}: {error.details()}")
            else:
                self.with_context += not plan.reasons & {"no_context", "expired", "fallback"}
            self.planned += 1
            self.homes.add(self._session.address)

    def stop(self) -> None:
        self._stopping.set()
        self.join()


@pytest.fixture
def fleet(tmp_path: Path):
    key = tmp_path / "key"
    key.write_text("k" * 48)
    replicas: list[Replica] = []
    try:
        for i in range(2):
            replicas.append(Replica("reasoning", tmp_path / f"reasoning{i}.log", []))
        producers = ",".join(replica.address for replica in replicas)
        flags = ["--reasoning-address", producers, "--session-key-file", str(key)]
        flags += ["--planner-core", "none"]
        for i in range(2):
            replicas.append(Replica("planning", tmp_path / f"planning{i}.log", flags))
        yield replicas
        for replica in reversed(replicas):
            replica.stop()
    finally:
        for replica in replicas:
            replica.kill()


def wait_for_contexts(vehicles: list[Vehicle], more: int) -> None:
    """Until each vehicle has planned `more` times on a context that it may use."""
    wanted = [vehicle.with_context + more for vehicle in vehicles]
    end = time.monotonic() + LIMIT_S
    while any(v.with_context < count for v, count in zip(vehicles, wanted, strict=True)):
        failures = [failure for vehicle in vehicles for failure in vehicle.failures]
        assert not failures, failures[:5]
        assert time.monotonic() < end, [vehicle.with_context for vehicle in vehicles]
        time.sleep(0.05)


def test_every_replica_is_replaced_in_turn_and_no_plan_fails(fleet: list[Replica]) -> None:
    addresses = [replica.address for replica in fleet[2:]]
    deadlines = Deadlines(plan_s=PLAN_DEADLINE_S, control_s=PLAN_DEADLINE_S)
    with PlannerClient(addresses, deadlines=deadlines) as client:
        client.wait_ready(LIMIT_S)
        camera = client.server_info().camera_size
        assert camera is not None
        options = SessionOptions(planning_rate_hz=1 / PERIOD_S, reasoning_rate_hz=2.0)
        vehicles = [
            Vehicle(client.open_session(f"car-{i}", options), SyntheticVehicle(i, camera))
            for i in range(VEHICLES)
        ]
        for vehicle in vehicles:
            vehicle.start()
        try:
            wait_for_contexts(vehicles, 3)
            for _ in range(ROUNDS):
                for replica in fleet:
                    replica.restart()
                    wait_for_contexts(vehicles, 3)
        finally:
            for vehicle in vehicles:
                vehicle.stop()
    failures = [failure for vehicle in vehicles for failure in vehicle.failures]
    assert not failures, f"{len(failures)} of {sum(v.planned for v in vehicles)}: {failures[:5]}"
    # Each planner went once at least, so each vehicle has been at both.
    assert all(vehicle.homes == set(addresses) for vehicle in vehicles)
