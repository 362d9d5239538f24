"""What differs between the sensors of two episodes, drawn from the episode's seed.

Camera pose, light and colours stay for an episode. Losses (a picture, a sweep, half a sweep) are drawn
per frame and come in short runs, as a busy bus or a dirty lens makes them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from automot_client.bridge.look import Look, Rgb
from automot_client.bridge.projection import CameraModel
from automot_client.bridge.scene import SENSOR_STREAM, generator


@dataclass(frozen=True)
class Ranges:
    """Half-widths of uniform draws around the declared sensors, and chances of losses per frame."""

    x_m: float = 0.2
    y_m: float = 0.1
    z_m: float = 0.15
    pitch_deg: float = 1.5
    yaw_deg: float = 1.5
    fov_deg: float = 2.0
    light: float = 0.35
    tint: float = 0.06
    colour: float = 25.0
    jpeg_quality: tuple[int, int] = (75, 95)
    picture_loss: float = 0.004
    sweep_loss: float = 0.004
    half_sweep: float = 0.01
    longest_loss_frames: int = 6


@dataclass(frozen=True)
class Losses:
    """What is missing of one frame."""

    picture: bool
    sweep: bool
    half_sweep: bool


class SensorVariation:
    """Sensors of one episode. Not safe for use by several threads."""

    def __init__(self, seed: int, camera: CameraModel, ranges: Ranges | None = None) -> None:
        self.ranges = ranges or Ranges()
        self._drawn = generator(seed, SENSOR_STREAM)
        self.camera = self._draw_camera(camera)
        self.look = self._draw_look()
        low, high = self.ranges.jpeg_quality
        self.jpeg_quality = int(self._drawn.integers(low, high + 1))
        self.half_sweep_side = int(self._drawn.choice((-1, 1)))
        self._left = [0, 0, 0]

    def next_losses(self) -> Losses:
        """What the next frame lacks. A lost sweep is not half of one."""
        chances = (self.ranges.picture_loss, self.ranges.sweep_loss, self.ranges.half_sweep)
        for kind, chance in enumerate(chances):
            begins = self._drawn.random() < chance
            length = int(self._drawn.integers(1, self.ranges.longest_loss_frames + 1))
            self._left[kind] = max(self._left[kind] - 1, length if begins else 0)
        picture, sweep, half = (left > 0 for left in self._left)
        return Losses(picture, sweep, half and not sweep)

    def halve(self, points: np.ndarray) -> np.ndarray:
        """The half of a sweep [n, 3] on one side of the vehicle, as half a rotation gives it."""
        return points[points[:, 1] * self.half_sweep_side >= 0.0]

    def _draw_camera(self, camera: CameraModel) -> CameraModel:
        ranges = self.ranges
        changed = {
            name: round(getattr(camera, name) + self._around(getattr(ranges, name)), 4)
            for name in ("x_m", "y_m", "z_m", "pitch_deg", "yaw_deg", "fov_deg")
        }
        return dataclasses.replace(camera, **changed)

    def _draw_look(self) -> Look:
        plain = Look()
        level = 1.0 + self._around(self.ranges.light)
        light = tuple(round(level * (1.0 + self._around(self.ranges.tint)), 4) for _ in range(3))
        return Look(
            light=(light[0], light[1], light[2]),
            haze=self._near(plain.haze),
            sky=self._near(plain.sky),
            ground=self._near(plain.ground),
            asphalt=self._near(plain.asphalt, 0.6),
            haze_distance_m=round(float(self._drawn.uniform(90.0, 300.0)), 1),
            paint_shift=int(self._drawn.integers(0, 7)),
        )

    def _near(self, colour: Rgb, scale: float = 1.0) -> Rgb:
        drawn = [round(float(c + scale * self._around(self.ranges.colour)), 1) for c in colour]
        return drawn[0], drawn[1], drawn[2]

    def _around(self, half_width: float) -> float:
        return float(self._drawn.uniform(-half_width, half_width))
