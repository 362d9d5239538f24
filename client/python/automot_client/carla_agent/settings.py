"""The agent's configuration file: JSON or YAML, one object, every key optional."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automot_client.session_options import SessionOptions


class SettingsError(ValueError):
    """The configuration cannot be used; the message names file, key, value and what is wanted."""


@dataclass(frozen=True)
class AgentSettings:
    """How the agent is served and what it does when it is not. Docs: docs/carla.md."""

    planning_address: str = "127.0.0.1:50051"
    tls_root_certificates: str = ""  # PEM file; empty: plain text
    session_prefix: str = "carla"
    required_model_revision: str = ""
    time_mode: str = "stepped"  # stepped, lockstep or realtime
    planning_rate_hz: float = 20.0
    reasoning_rate_hz: float = 10.0  # every 2nd tick, as published
    simulated_latency_s: float = 0.0  # stepped only
    lockstep_ticks: int = 2
    rules: str = "published"  # published or none
    camera_encoding: str = "raw"  # raw or jpeg
    geo_reference: tuple[float, ...] = ()  # latitude, longitude of the map; empty: from the plan
    ready_deadline_s: float = 120.0
    plan_deadline_s: float = 30.0
    control_deadline_s: float = 5.0
    give_up_after_ticks: int = 200  # failed in a row; 0: never
    record_folder: str = ""  # one JSON Lines file per route; empty: none

    def session_options(self) -> SessionOptions:
        """How the vehicle is served."""
        # A first context that becomes visible later cannot be waited for while the simulation stands.
        no_context = "fallback" if self.simulated_latency_s else None
        return SessionOptions(
            planning_rate_hz=self.planning_rate_hz,
            reasoning_rate_hz=self.reasoning_rate_hz,
            time_mode=self.time_mode,
            run_controller=True,
            simulated_latency_s=self.simulated_latency_s,
            lockstep_ticks=self.lockstep_ticks if self.time_mode == "lockstep" else 0,
            on_no_context=no_context,
            required_model_revision=self.required_model_revision,
        )


_CHOICES = {
    "time_mode": ("stepped", "lockstep", "realtime"),
    "rules": ("published", "none"),
    "camera_encoding": ("raw", "jpeg"),
}
_MAY_BE_ZERO = ("simulated_latency_s", "give_up_after_ticks")


def split_config_argument(argument: str) -> tuple[str, str]:
    """File and run name of what `setup` gets: Bench2Drive's evaluator appends `+NAME` per route."""
    path, _, name = argument.partition("+")
    return path, name.rsplit("+", maxsplit=1)[-1]


def load_settings(path: str) -> AgentSettings:
    """Reads a configuration; an empty path gives the defaults. SettingsError says what is wrong."""
    if not path:
        return AgentSettings()
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    values = _parse(file, text)
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: holds a {type(values).__name__}, want one object of keys")
    return _checked(path, values)


def _parse(file: Path, text: str) -> Any:
    if file.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise SettingsError(f"{file}: not JSON: {error}") from error
    if file.suffix not in (".yaml", ".yml"):
        raise SettingsError(f"{file}: ends in {file.suffix!r}, want .json, .yaml or .yml")
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise SettingsError(
            f"{file}: YAML needs PyYAML (pip install 'automot-client[carla]'); JSON does not"
        ) from error
    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{file}: not YAML: {error}") from error


def _checked(path: str, values: dict[Any, Any]) -> AgentSettings:
    fields = {field.name: field for field in dataclasses.fields(AgentSettings)}
    unknown = sorted(str(key) for key in values if key not in fields)
    if unknown:
        raise SettingsError(
            f"{path}: unknown key {', '.join(unknown)}; there are {', '.join(sorted(fields))}"
        )
    taken = {}
    for name, value in values.items():
        default = fields[name].default
        try:
            taken[name] = _value(name, default, value)
        except ValueError as error:
            raise SettingsError(f"{path}: {name} is {value!r}, want {error}") from None
    return AgentSettings(**taken)


def _value(name: str, default: Any, value: Any) -> Any:
    """The value in the field's type; ValueError says what is wanted."""
    if isinstance(default, str):
        choices = _CHOICES.get(name)
        if not isinstance(value, str) or (choices and value not in choices):
            raise ValueError(f"one of {', '.join(choices)}" if choices else "text")
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)):
            raise ValueError("[latitude, longitude] in degrees")
        return tuple(float(number) for number in value)
    whole = isinstance(default, int)
    if not _is_number(value) or (whole and value != int(value)):
        raise ValueError("a whole number" if whole else "a number")
    if value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
        raise ValueError("0 or more" if name in _MAY_BE_ZERO else "more than 0")
    return int(value) if whole else float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
