"""What the closed loop needs of a planner, and its form over the services."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import grpc

from automot_client.client import Deadlines, PlanError, PlannerClient, Session, SessionOptions
from automot_client.context import ContextError, ContextSubscription
from automot_client.types import DecisionSlot, Observation, Plan, ServerInfo, SnapshotRef


class PlanFailed(RuntimeError):
    """A tick got no trajectory; the message says why."""


@dataclass(frozen=True)
class Refresh:
    """One context snapshot as its producer announced it; times in wall seconds."""

    id: SnapshotRef
    capture_time_us: int
    refresh_s: float
    decision: tuple[DecisionSlot, ...]


class PlannerPort(Protocol):
    """A planner for one vehicle."""

    @property
    def info(self) -> ServerInfo:
        """What plans."""

    def plan(self, observation: Observation) -> Plan:
        """One trajectory with control; PlanFailed when there is none."""

    def reset(self) -> None:
        """Begins a new episode."""

    def take_refreshes(self) -> list[Refresh]:
        """Snapshots announced since the last call; empty where the planner does not announce them."""

    def close(self) -> None:
        """Ends the session."""


class ServicePlanner:
    """PlannerPort over the network: one session, a stream of plans, and a listener to its snapshots."""

    def __init__(
        self,
        planning_address: str,
        reasoning_address: str | None,
        session_name: str,
        options: SessionOptions,
        plan_deadline_s: float,
        ready_timeout_s: float = 60.0,
    ) -> None:
        self._client = PlannerClient(
            planning_address, reasoning_address, deadlines=Deadlines(plan_s=plan_deadline_s)
        )
        try:
            self._client.wait_ready(ready_timeout_s)
            self.info = self._client.server_info()
            self._session: Session = self._client.open_session(session_name, options)
        except BaseException:
            self._client.close()
            raise
        self._listener = _RefreshListener(self._subscribe) if reasoning_address else None

    def plan(self, observation: Observation) -> Plan:
        """See PlannerPort."""
        try:
            return self._session.plan(observation)
        except grpc.RpcError as error:
            raise PlanFailed(f"{error.code().name}: {error.details()}") from error
        except PlanError as error:
            raise PlanFailed(str(error)) from error

    def reset(self) -> None:
        """See PlannerPort."""
        self._session.reset()
        if self._listener:
            self._listener.renew()

    def take_refreshes(self) -> list[Refresh]:
        """See PlannerPort."""
        return self._listener.take() if self._listener else []

    def close(self) -> None:
        """See PlannerPort."""
        if self._listener:
            self._listener.close()
        with contextlib.suppress(grpc.RpcError):
            self._session.close()  # The service may be gone; the lease ends by itself.
        self._client.close()

    def _subscribe(self) -> ContextSubscription:
        return self._client.subscribe_decisions(self._session.name, self._session.episode)


class _RefreshListener:
    """Collects snapshot announcements on a thread of its own; subscribes again after any loss."""

    _RETRY_S = 0.5

    def __init__(self, subscribe: Callable[[], ContextSubscription]) -> None:
        self._subscribe = subscribe
        self._lock = threading.Lock()
        self._collected: list[Refresh] = []
        self._subscription: ContextSubscription | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refresh-listener", daemon=True)
        self._thread.start()

    def take(self) -> list[Refresh]:
        with self._lock:
            taken, self._collected = self._collected, []
        return taken

    def renew(self) -> None:
        """Ends the running subscription, so that the next one names the new episode."""
        with self._lock:
            if self._subscription is not None:
                self._subscription.cancel()

    def close(self) -> None:
        self._closed.set()
        self.renew()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._closed.is_set():
            started = time.monotonic()
            # The producer may be away or the episode over: the next round subscribes again.
            with contextlib.suppress(grpc.RpcError, ContextError):
                self._listen()
            self._closed.wait(max(0.0, self._RETRY_S - (time.monotonic() - started)))

    def _listen(self) -> None:
        subscription = self._subscribe()
        with self._lock:
            self._subscription = subscription
        for snapshot in subscription:
            refresh = Refresh(
                snapshot.id, snapshot.capture_time_us, snapshot.refresh_s, snapshot.decision
            )
            with self._lock:
                self._collected.append(refresh)
