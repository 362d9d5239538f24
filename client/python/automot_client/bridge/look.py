"""Light and colours of a drawn world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Colours 0 to 255; `light` multiplies each channel of everything. The default is a clear day."""

    light: Rgb = (1.0, 1.0, 1.0)
    haze: Rgb = (196.0, 210.0, 222.0)
    sky: Rgb = (104.0, 152.0, 206.0)
    ground: Rgb = (112.0, 128.0, 84.0)
    asphalt: Rgb = (88.0, 90.0, 95.0)
    haze_distance_m: float = 160.0
    paint_shift: int = 0

    def lit(self, colour: np.ndarray | Rgb) -> np.ndarray:
        """A colour [..., 3] under this light."""
        return np.minimum(np.asarray(colour, dtype=np.float64) * self.light, 255.0)

    def hazed(self, colour: np.ndarray | Rgb, depth: np.ndarray) -> np.ndarray:
        """A colour [3] seen through haze at depths [n] in metres: [n, 3], under this light."""
        ratio = 1.0 - np.exp(-np.maximum(depth, 0.0) / self.haze_distance_m)
        own = np.asarray(colour, dtype=np.float64)
        return self.lit(own + (np.asarray(self.haze) - own) * ratio[:, None])
