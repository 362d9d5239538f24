"""Draws the scene of an episode from its seed: how long, how busy, with accidents or without."""

from __future__ import annotations

import numpy as np

from automot_client.bridge.world import WorldOptions

_DENSITIES = (0.0, 0.05, 0.1, 0.1, 0.15, 0.2)
_BLOCKS = (3, 4, 4, 5)
_ACCIDENTS = (0.0, 0.0, 0.0, 0.5)
# Streams of the episode's seed, so that one kind of draw never shifts another.
SCENE_STREAM, SENSOR_STREAM, DRIVING_STREAM, QUESTION_STREAM = range(4)


def generator(seed: int, stream: int) -> np.random.Generator:
    """Random numbers of one kind for one episode."""
    return np.random.default_rng([seed, stream])


def draw_scene(seed: int, target_point_rule: str = WorldOptions.target_point_rule) -> WorldOptions:
    """The world of a seed. Turns, curves, ramps, intersections and roundabouts come with the map."""
    drawn = generator(seed, SCENE_STREAM)
    return WorldOptions(
        seed=seed,
        traffic_density=float(drawn.choice(_DENSITIES)),
        blocks=int(drawn.choice(_BLOCKS)),
        accident_probability=float(drawn.choice(_ACCIDENTS)),
        target_point_rule=target_point_rule,
    )
