"""How a session is served, and how long calls may take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from automot_client._generated.automot.v1 import session_pb2


@dataclass(frozen=True)
class Deadlines:
    """Wall seconds after which a call fails with DEADLINE_EXCEEDED."""

    plan_s: float = 1.0
    control_s: float = 5.0
    ask_s: float = 60.0


@dataclass(frozen=True)
class SessionOptions:
    """How a vehicle is served (semantics 1 to 4). None keeps the server's default.

    time_mode: 'realtime', 'stepped' or 'lockstep'. Policies are named as in session.proto, in lower
    case: on_expired 'fallback', 'answer', 'reject', 'wait'; on_route_change 'use', 'flag', 'fallback';
    on_missing_modality 'reject', 'flag'; on_no_context 'fallback', 'reject', 'park'.
    """

    planning_rate_hz: float = 20.0
    reasoning_rate_hz: float = 2.0
    time_mode: str = "realtime"
    run_controller: bool = False
    soft_staleness_s: float | None = None
    hard_staleness_s: float | None = None
    retention_s: float | None = None
    simulated_latency_s: float = 0.0
    lockstep_ticks: int = 0
    on_expired: str | None = None
    on_route_change: str | None = None
    on_missing_modality: str | None = None
    on_no_context: str | None = None
    required_model_revision: str = ""

    def to_proto(self) -> session_pb2.SessionOptions:
        """The wire form; ValueError names an unknown policy."""
        message = session_pb2.SessionOptions(
            planning_rate_hz=self.planning_rate_hz,
            reasoning_rate_hz=self.reasoning_rate_hz,
            time_mode=_enum_value(session_pb2.TimeMode, "TIME_MODE_", self.time_mode),
            run_controller=self.run_controller,
            simulated_latency_us=round(self.simulated_latency_s * 1e6),
            lockstep_ticks=self.lockstep_ticks,
            required_model_revision=self.required_model_revision,
        )
        for name in ("soft_staleness", "hard_staleness", "retention"):
            seconds = getattr(self, f"{name}_s")
            if seconds is not None:
                setattr(message, f"{name}_us", round(seconds * 1e6))
        for name, enum in (
            ("on_expired", session_pb2.OnExpired),
            ("on_route_change", session_pb2.OnRouteChange),
            ("on_missing_modality", session_pb2.OnMissingModality),
            ("on_no_context", session_pb2.OnNoContext),
        ):
            if getattr(self, name) is not None:
                setattr(message, name, _enum_value(enum, f"{name.upper()}_", getattr(self, name)))
        return message


def _enum_value(enum: Any, prefix: str, word: str) -> Any:
    """Value of an enum by the lower-case end of its name; ValueError lists the choices."""
    names: Mapping[str, int] = dict(enum.items())
    value = names.get(prefix + word.upper())
    if value is None or value == 0:
        allowed: Iterable[str] = (name.removeprefix(prefix).lower() for name in list(names)[1:])
        raise ValueError(f"{prefix.rstrip('_').lower()}: {word!r} is none of {', '.join(allowed)}")
    return value
