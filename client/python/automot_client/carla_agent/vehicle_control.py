"""The command in CARLA's form, or in one of the same shape where CARLA is not installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from automot_client.types import Control


@dataclass
class VehicleCommand:
    """What the leaderboard reads of a `carla.VehicleControl`."""

    throttle: float = 0.0
    steer: float = 0.0
    brake: float = 0.0
    hand_brake: bool = False
    reverse: bool = False
    manual_gear_shift: bool = False
    gear: int = 0


def vehicle_control(control: Control) -> Any:
    """A `carla.VehicleControl` of the command; a VehicleCommand where there is no CARLA."""
    try:
        from carla import VehicleControl
    except ImportError:
        VehicleControl = VehicleCommand
    command = VehicleControl()
    command.throttle, command.steer, command.brake = control.throttle, control.steer, control.brake
    return command
