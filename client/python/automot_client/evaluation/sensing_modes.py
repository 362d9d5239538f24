"""What the model is shown of the world: all of it, or less on purpose."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from automot_client.bridge.projection import CameraModel
from automot_client.driving.sensing import encode_jpeg
from automot_client.types import CameraFrame, Observation

# Whether the model is shown pictures, and sweeps.
SENSOR_MODES = {
    "full": (True, True),
    "no_lidar": (True, False),
    "no_camera": (False, True),
    "blind": (False, False),
}


class SensorFilter:
    """Takes from observations what a mode does not show. Not safe for use by several threads.

    A model without pictures is shown black ones. `drop_frames` is the chance that a picture is lost, drawn
    from the seed; the first of a route never is.
    """

    def __init__(
        self, mode: str, camera: CameraModel, drop_frames: float = 0.0, seed: int = 0
    ) -> None:
        if mode not in SENSOR_MODES:
            raise ValueError(f"sensors {mode!r}: is none of {', '.join(SENSOR_MODES)}")
        self._shows_pictures, self._shows_sweeps = SENSOR_MODES[mode]
        self._drop = drop_frames
        self._drawn = np.random.default_rng([seed, 77])
        self._black = encode_jpeg(Image.new("RGB", (camera.width, camera.height)), 75)
        self._first = True

    def apply(self, observation: Observation) -> Observation:
        """The observation without what is not shown."""
        lost = self._drawn.random() < self._drop and not self._first
        self._first = False
        frames = observation.camera_frames
        if not self._shows_pictures:
            frames = tuple(CameraFrame(frame.capture_time_us, self._black) for frame in frames)
        observation = dataclasses.replace(observation, camera_frames=() if lost else frames)
        if self._shows_sweeps:
            return observation
        return dataclasses.replace(observation, lidar_points=None, lidar_histogram=None)
