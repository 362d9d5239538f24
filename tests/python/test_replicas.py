"""Which replica serves a session, and how the client goes on when one drains, dies or is restarted."""

from __future__ import annotations

import itertools
import select
import socket
import threading

import grpc
import numpy as np
import pytest

from automot_client.client import Deadlines, PlannerClient, SessionOptions
from automot_client.geometry import Pose
from automot_client.replicas import MAX_ATTEMPTS, rendezvous_order
from automot_client.types import Observation
from fake_planning_server import FakeServer

REPLICAS = ["10.0.0.1:50051", "10.0.0.2:50051", "10.0.0.3:50051", "planner:1"]
# As common/rpc/rendezvous_hash.cc ranks them.
RANKED = {
    "car-0": [3, 2, 1, 0],
    "car-1": [2, 0, 3, 1],
    "car-2": [1, 2, 3, 0],
    "car-3": [2, 3, 1, 0],
    "car-4": [0, 2, 3, 1],
    "car-5": [0, 2, 1, 3],
}
GONE = grpc.StatusCode.UNAVAILABLE


@pytest.fixture
def servers():
    servers = [FakeServer(), FakeServer()]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def client(servers):
    addresses = [server.address for server in servers]
    with PlannerClient(addresses, deadlines=Deadlines(plan_s=10.0)) as client:
        yield client


class Freezer:
    """Stands before a server. Once frozen, connections stay open and are taken, and nothing passes: what
    a client sees of a host that lost its power or its network."""

    def __init__(self, address: str) -> None:
        self._server = ("127.0.0.1", int(address.rsplit(":", 1)[1]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._peers: dict[socket.socket, socket.socket] = {}
        self.frozen, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        for end in (self._listener, *self._peers):
            end.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            ends = [] if self.frozen.is_set() else list(self._peers)
            for end in select.select([self._listener, *ends], [], [], 0.01)[0]:
                if end is self._listener:
                    client, server = end.accept()[0], socket.create_connection(self._server)
                    self._peers |= {client: server, server: client}
                elif end in self._peers:
                    self._pass(end)

    def _pass(self, end: socket.socket) -> None:
        peer = self._peers[end]
        if data := end.recv(65536):
            peer.sendall(data)
            return
        for closed in (end, peer):
            del self._peers[closed]
            closed.close()


@pytest.fixture
def freezer(servers):
    freezer = Freezer(servers[0].address)
    yield freezer
    freezer.stop()


def observation() -> Observation:
    return Observation(
        capture_time_us=0,
        speed_mps=4.0,
        target_points=np.array([[8.0, 0.5], [20.0, -1.5]]),
        route_revision=3,
        pose=Pose(1.0, 2.0, 0.5),
    )


def home_and_other(session, servers):
    home = next(server for server in servers if server.address == session.address)
    return home, next(server for server in servers if server is not home)


def test_order_is_that_of_the_other_languages():
    assert {name: rendezvous_order(name, REPLICAS) for name in RANKED} == RANKED


def test_sessions_open_at_their_first_choice(client, servers):
    addresses = [server.address for server in servers]
    for name in map(str, range(8)):
        with client.open_session(name, SessionOptions()) as session:
            assert session.address == addresses[rendezvous_order(name, addresses)[0]]


@pytest.mark.parametrize("code", [GONE, grpc.StatusCode.CANCELLED])
def test_plan_goes_on_at_the_next_replica_with_the_token(client, servers, code):
    session = client.open_session("car", SessionOptions(planning_rate_hz=7.0))
    home, other = home_and_other(session, servers)
    session.plan(observation())
    home.planning.plan_failures.append(code)
    session.plan(observation())
    assert session.address == other.address
    assert (other.planning.opened.session, other.planning.opened.resume_token) == ("car", "token")
    assert other.planning.opened.options.planning_rate_hz == 7.0
    assert [plan.sequence for plan in other.planning.plans] == [1]
    session.plan(observation())
    assert [plan.sequence for plan in other.planning.plans] == [1, 2]


def test_after_a_reset_the_next_replica_is_shown_the_token_of_the_new_episode(client, servers):
    session = client.open_session("car", SessionOptions())
    home, other = home_and_other(session, servers)
    assert session.reset() == 2
    assert session.resume_token == "token of 2"
    home.planning.plan_failures.append(GONE)
    session.plan(observation())
    assert other.planning.opened.resume_token == "token of 2"


def test_replica_that_lost_the_session_adopts_it_again(client, servers):
    session = client.open_session("car", SessionOptions())
    home, other = home_and_other(session, servers)
    home.planning.plan_failures.append(grpc.StatusCode.NOT_FOUND)
    session.plan(observation())
    assert home.planning.opened.resume_token == "token"
    assert session.address == home.address and not other.planning.plans


def test_dead_replica_is_passed_over(client, servers):
    sessions = [client.open_session(str(i), SessionOptions()) for i in range(6)]
    servers[0].stop()
    for session in sessions:
        session.plan(observation())
        assert session.address == servers[1].address
    client.open_session("later", SessionOptions()).plan(observation())


def test_silent_replica_is_left_and_passed_over(servers, freezer):
    addresses = [freezer.address, servers[1].address]
    homed = (
        name for name in map(str, itertools.count()) if rendezvous_order(name, addresses)[0] == 0
    )
    deadlines = Deadlines(plan_s=60.0, control_s=19.0)
    with PlannerClient(addresses, deadlines=deadlines) as client:
        session = client.open_session(next(homed), SessionOptions())
        session.plan(observation())
        assert session.address == freezer.address
        freezer.frozen.set()
        session.plan(observation())
        assert session.address == servers[1].address
        assert client.open_session(next(homed), SessionOptions()).address == servers[1].address


def test_attempts_are_bounded_and_other_failures_are_not_tried_again(client, servers):
    session = client.open_session("car", SessionOptions())
    for server in servers:
        server.planning.plan_failures.extend([GONE] * MAX_ATTEMPTS)
    with pytest.raises(grpc.RpcError) as error:
        session.plan(observation())
    assert error.value.code() is GONE
    assert sum(len(server.planning.plan_failures) for server in servers) == MAX_ATTEMPTS
    for server in servers:
        server.planning.plan_failures[:] = [grpc.StatusCode.INVALID_ARGUMENT] * 2
    with pytest.raises(grpc.RpcError):
        session.plan(observation())
    assert sum(len(server.planning.plan_failures) for server in servers) == 3


def test_one_replica_is_never_tried_again(servers):
    with PlannerClient(servers[0].address) as client:
        session = client.open_session("car", SessionOptions())
        servers[0].planning.plan_failures.append(GONE)
        with pytest.raises(grpc.RpcError):
            session.plan(observation())
        session.plan(observation())


def test_one_ready_replica_is_enough(servers):
    with PlannerClient(["127.0.0.1:1", servers[0].address]) as client:
        client.wait_ready(10.0)
        assert client.server_info().model_revision == "cd" * 16
