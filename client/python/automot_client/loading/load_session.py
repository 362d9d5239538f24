"""The session of a synthetic vehicle, opened when it is first needed and anew where the service lost it."""

from __future__ import annotations

import contextlib
import uuid

import grpc

from automot_client.client import PlannerClient, Session, SessionOptions
from automot_client.types import Observation, Plan


class LoadSession:
    """One vehicle's session over a client that may be shared. Not thread-safe."""

    def __init__(self, client: PlannerClient, options: SessionOptions) -> None:
        self._client = client
        self._options = options
        self._session: Session | None = None

    def plan(self, observation: Observation) -> Plan:
        """Plans one tick; grpc.RpcError where that, or opening the session, fails."""
        if self._session is None:
            name = f"load-{uuid.uuid4().hex[:12]}"
            self._session = self._client.open_session(name, self._options)
        try:
            return self._session.plan(observation)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED):
                self._session = None
            raise

    def close(self) -> None:
        """Ends the session; closing twice is fine."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(grpc.RpcError):
                session.close()  # The service may be gone; its lease ends by itself.
