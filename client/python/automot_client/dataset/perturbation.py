"""Bursts of wrong control, so that recovery is seen: drawn from the episode's seed."""

from __future__ import annotations

import dataclasses

import numpy as np

from automot_client.types import Control

_SHARE_OF_EPISODES = 0.8


class Perturbation:
    """Every 3 to 6.5 s a burst of 0.3 to 0.85 s, in 4 of 5 episodes."""

    def __init__(self, drawn: np.random.Generator, tick_s: float) -> None:
        self._drawn = drawn
        self._tick_s = tick_s
        self._active = bool(drawn.random() < _SHARE_OF_EPISODES)
        self._wait = self._ticks(3.0, 6.5)
        self._left = 0
        self._kind, self._bias = "steer", 0.0

    def apply(self, control: Control) -> tuple[Control, bool]:
        """The control to drive with, and whether it was changed. Call once per tick."""
        if not self._active:
            return control, False
        if self._left == 0:
            self._wait -= 1
            if self._wait > 0:
                return control, False
            self._begin()
        self._left -= 1
        return self._changed(control), True

    def _begin(self) -> None:
        self._left, self._wait = self._ticks(0.3, 0.85), self._ticks(3.0, 6.5)
        self._kind = str(self._drawn.choice(("steer", "steer", "throttle", "brake", "coast")))
        self._bias = float(self._drawn.uniform(0.08, 0.35) * self._drawn.choice((-1.0, 1.0)))

    def _changed(self, control: Control) -> Control:
        if self._kind == "steer":
            steer = min(max(control.steer + self._bias, -1.0), 1.0)
            return dataclasses.replace(control, steer=steer)
        throttle = 1.0 if self._kind == "throttle" else 0.0
        return Control(control.steer, throttle, 1.0 if self._kind == "brake" else 0.0)

    def _ticks(self, low_s: float, high_s: float) -> int:
        return max(1, round(float(self._drawn.uniform(low_s, high_s)) / self._tick_s))
