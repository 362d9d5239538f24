"""The leaderboard's entry point: `--agent .../carla_agent/entry/automot_agent.py` (docs/carla.md)."""

from __future__ import annotations

from typing import Any

from automot_client.carla_agent.agent import agent_class

_NAME = "AutomotAgent"


def get_entry_point() -> str:
    """Name of the agent's class in this module."""
    return _NAME


def __getattr__(name: str) -> Any:
    """Makes the class when it is first asked for: its base imports CARLA, this module does not."""
    if name != _NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = agent_class()
    return globals()[name]
