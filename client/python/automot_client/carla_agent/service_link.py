"""The agent's session: every call has a deadline, and a session that the service lost is opened anew."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import uuid
from pathlib import Path

import grpc

from automot_client.carla_agent.settings import AgentSettings, SettingsError
from automot_client.client import Deadlines, PlannerClient, Session
from automot_client.types import Observation, Plan, ServerInfo

logger = logging.getLogger(__name__)

# The service no longer has the session (restarted, lease ended) or another writer took it.
_LOST = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED)


class PlanFailed(RuntimeError):
    """A tick got no plan; the message is the reason."""


class SessionLost(PlanFailed):
    """The service does not know the session, and took nothing of the tick in; the next plan opens another."""


class ServiceLink:
    """One vehicle at the planning service. Not thread-safe.

    `fresh` is true until its session has answered once: it knows neither camera history nor sweep.
    """

    def __init__(self, settings: AgentSettings) -> None:
        """Connects and opens the session; TimeoutError or grpc.RpcError where that fails."""
        self._settings = settings
        self.fresh = True
        self.sessions_opened = 0
        self._session: Session | None = None
        self._revision = settings.required_model_revision
        self._client = PlannerClient(
            settings.planning_address,
            credentials=_credentials(settings.tls_root_certificates),
            deadlines=Deadlines(
                plan_s=settings.plan_deadline_s, control_s=settings.control_deadline_s
            ),
        )
        try:
            self._client.wait_ready(settings.ready_deadline_s)
            self.info: ServerInfo = self._client.server_info()
            self._open()
        except BaseException:
            self._client.close()
            raise

    @property
    def session_name(self) -> str:
        """Name of the session at the service; empty while there is none."""
        return self._session.name if self._session else ""

    def plan(self, observation: Observation) -> Plan:
        """Plans one tick, in a new session where there is none; waits no longer than the deadlines.

        PlanFailed says why there is no plan; SessionLost, that the same tick may be planned again.
        """
        try:
            if self._session is None:
                self._open()
            assert self._session is not None
            plan = self._session.plan(observation)
        except grpc.RpcError as error:
            reason = f"{error.code().name}: {error.details()}"
            if error.code() not in _LOST or self._session is None:
                raise PlanFailed(reason) from error
            logger.warning("session %s lost: %s", self._session.name, reason)
            self._session, self.fresh = None, True
            raise SessionLost(reason) from error
        except ValueError as error:  # The client refused the observation, or is closed.
            raise PlanFailed(f"INVALID_ARGUMENT: {error}") from error
        self.fresh = False
        return plan

    def close(self) -> None:
        """Ends the session and the connection; closing twice is fine."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(grpc.RpcError, ValueError):
                session.close()  # The service may be gone; its lease ends by itself.
        self._client.close()

    def _open(self) -> None:
        # Two revisions within one route would be no result of either: later sessions insist on the first.
        options = dataclasses.replace(
            self._settings.session_options(), required_model_revision=self._revision
        )
        name = f"{self._settings.session_prefix}-{uuid.uuid4().hex[:12]}"
        self._session = self._client.open_session(name, options)
        self._revision = self._session.model_revision
        self.fresh = True
        self.sessions_opened += 1
        logger.info("session %s opened, model revision %s", name, self._revision)


def _credentials(pem_file: str) -> grpc.ChannelCredentials | None:
    if not pem_file:
        return None
    try:
        return grpc.ssl_channel_credentials(Path(pem_file).expanduser().read_bytes())
    except OSError as error:
        raise SettingsError(f"tls_root_certificates: {pem_file}: {error.strerror}") from error
