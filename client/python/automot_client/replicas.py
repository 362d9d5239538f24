"""Which replica of the planning service serves a session, and where it goes on when that one is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc

from automot_client._generated.automot.v1 import planning_service_pb2, planning_service_pb2_grpc

_Result = TypeVar("_Result")

MAX_ATTEMPTS = 4  # of a call, as the C++ client's RetryPolicy has it
FIRST_DELAY_S = 0.05  # doubles
_MASK = (1 << 64) - 1
# CANCELLED, which nobody here asked for: the call reached a server in the instant of its end.
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def _weight(key: str, replica: str) -> int:
    """common/rpc/rendezvous_hash.cc: FNV-1a, mixed by SplitMix64's finalizer."""
    x = 0xCBF29CE484222325
    for byte in f"{replica}\n{key}".encode():
        x = ((x ^ byte) * 0x100000001B3) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def rendezvous_order(key: str, replicas: Sequence[str]) -> list[int]:
    """Indices of the replicas in the key's order of preference, the same for every client."""
    return sorted(range(len(replicas)), key=lambda i: (-_weight(key, replicas[i]), replicas[i]))


class Route:
    """One session's way through the replicas. Not thread-safe."""

    def __init__(
        self,
        stubs: Sequence[planning_service_pb2_grpc.PlanningServiceStub],
        addresses: Sequence[str],
        request: planning_service_pb2.OpenSessionRequest,
    ) -> None:
        """`request` opens the session, or takes it over where it has a token."""
        self._order = rendezvous_order(request.session, addresses)
        self._stubs = stubs
        self._addresses = addresses
        self._request = request
        self._place = 0
        self._adrift = False

    @property
    def stub(self) -> planning_service_pb2_grpc.PlanningServiceStub:
        """Of the replica that serves the session now."""
        return self._stubs[self._order[self._place]]

    @property
    def address(self) -> str:
        """Of the same replica."""
        return self._addresses[self._order[self._place]]

    @property
    def adrift(self) -> bool:
        """True while no replica has the session."""
        return self._adrift

    def open(self, timeout_s: float) -> planning_service_pb2.OpenSessionResponse:
        """Opens the session at its first choice that answers; from now on its token opens it."""
        opened = self._attempts(timeout_s, self._open_here)
        self._adrift = False
        return opened

    def call(
        self,
        timeout_s: float,
        attempt: Callable[[planning_service_pb2_grpc.PlanningServiceStub, float], _Result],
        on_adopted: Callable[[planning_service_pb2.OpenSessionResponse], None],
    ) -> _Result:
        """Runs `attempt`; where the replica is away or has lost the session, at one that adopts it first."""

        def adopt_and_attempt(left_s: float) -> _Result:
            if self._adrift:
                on_adopted(self._open_here(left_s))
                self._adrift = False
            return attempt(self.stub, left_s)

        return self._attempts(timeout_s, adopt_and_attempt)

    def renew(self, resume_token: str) -> None:
        """The token that opens the session from now on."""
        self._request.resume_token = resume_token

    def _open_here(self, timeout_s: float) -> planning_service_pb2.OpenSessionResponse:
        opened = self.stub.OpenSession(self._request, timeout=timeout_s)
        self.renew(opened.resume_token)
        return opened

    def _attempts(self, timeout_s: float, attempt: Callable[[float], _Result]) -> _Result:
        end = time.monotonic() + timeout_s
        delay_s = FIRST_DELAY_S
        for tried in range(1, MAX_ATTEMPTS + 1):
            try:
                return attempt(max(end - time.monotonic(), 1e-3))
            except grpc.RpcError as error:
                if not self._follow(error.code()):
                    raise
                if tried == MAX_ATTEMPTS or time.monotonic() + delay_s >= end:
                    raise
            time.sleep(delay_s)
            delay_s *= 2
        raise AssertionError("unreachable")

    def _follow(self, code: grpc.StatusCode) -> bool:
        """True where another attempt may help: at the next replica, or after adoption at this one."""
        if len(self._order) < 2:
            return False
        if code in _AWAY:
            self._place = (self._place + 1) % len(self._order)
        elif code is not grpc.StatusCode.NOT_FOUND:
            return False
        self._adrift = True
        return True
