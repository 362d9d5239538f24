"""The last camera frames, and which of them the session still lacks for its history.

A session that was just opened knows no frame. Each of its first ticks brings the frames of its own place on
the history grid, until the grid is full of frames that came before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from automot_client.types import CameraFrame

SPACING_US = 250_000  # The published agent's history: 4 frames, 0.25 s apart.
FRAMES = 4
_TOLERANCE_US = 60_000  # As the service's; a frame farther from its place does not stand for it.


class FrameHistory:
    """One vehicle's recent frames. Not thread-safe."""

    def __init__(self) -> None:
        self._frames: deque[CameraFrame] = deque()
        self._given: set[int] = set()  # Capture times of frames that the session has.

    def add(self, frame: CameraFrame) -> None:
        """Takes the newest frame; a time that does not rise begins anew."""
        now = frame.capture_time_us
        if self._frames and now <= self._frames[-1].capture_time_us:
            self._frames.clear()
            self._given.clear()
        self._frames.append(frame)
        oldest = now - (FRAMES - 1) * SPACING_US - _TOLERANCE_US
        while self._frames[0].capture_time_us < oldest:
            self._given.discard(self._frames.popleft().capture_time_us)

    def begin_session(self) -> None:
        """The session is a new one: it has no frame yet."""
        self._given.clear()

    def due(self) -> tuple[CameraFrame, ...]:
        """Frames 0.75, 0.5 and 0.25 s before the newest that were not given, and the newest; oldest first."""
        if not self._frames:
            return ()
        newest = self._frames[-1]
        chosen: dict[int, CameraFrame] = {}
        for age in range((FRAMES - 1) * SPACING_US, 0, -SPACING_US):
            place = newest.capture_time_us - age
            frame = min(self._frames, key=lambda kept: abs(kept.capture_time_us - place))
            near = abs(frame.capture_time_us - place) <= _TOLERANCE_US
            if near and frame.capture_time_us not in self._given:
                chosen[frame.capture_time_us] = frame
        chosen[newest.capture_time_us] = newest
        return tuple(chosen.values())

    def given(self, frames: Iterable[CameraFrame]) -> None:
        """The session answered an observation with these."""
        self._given.update(frame.capture_time_us for frame in frames)
