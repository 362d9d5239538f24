"""automot-record: records an episode in MetaDrive, driven by pure pursuit of the route, without a server.

The episode can then be played to a planning service where there is no simulator.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from automot_client.episode import write_episode
from automot_client.types import Observation


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="automot-record",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--seconds", type=float, default=5.0, help="simulated time to record")
    parser.add_argument("--skip-seconds", type=float, default=0.0, help="time driven before that")
    parser.add_argument("--seed", type=int, default=0, help="seed of map and traffic")
    parser.add_argument("--density", type=float, default=0.1, help="traffic density")
    parser.add_argument("--camera-size", default="256x128", metavar="WxH", help="pixels")
    parser.add_argument("--camera-every-ticks", type=int, default=2, help="ticks per picture")
    parser.add_argument("--jpeg-quality", type=int, default=85, help="of the pictures")
    parser.add_argument("--lidar-azimuths", type=int, default=540, help="LiDAR beams per ring")
    parser.add_argument(
        "--target-point-rule",
        default="route_distance:8,20",
        help="route_distance:NEAR,FAR or plan_points:SPACING, metres",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; 1 when the episode ended before the time was up."""
    options = parse_arguments(arguments)
    observations = record(options)
    write_episode(options.out, observations)
    wanted = round(options.seconds * 20)
    print(f"{len(observations)} observations in {options.out}")
    if len(observations) < wanted:
        print(f"automot-record: the episode ended early, {wanted} were asked", file=sys.stderr)
        return 1
    return 0


def record(options: argparse.Namespace) -> list[Observation]:
    """Drives and returns what was seen."""
    from automot_client.bridge.lidar import LidarModel
    from automot_client.bridge.projection import CameraModel
    from automot_client.bridge.world import TICK_S, World, WorldOptions
    from automot_client.driving.pursuit import pursue
    from automot_client.driving.sensing import Sensors, observe

    width, height = (int(value) for value in options.camera_size.split("x"))
    world = World(
        WorldOptions(
            seed=options.seed,
            traffic_density=options.density,
            target_point_rule=options.target_point_rule,
        )
    )
    sensors = Sensors(
        world.road_map,
        CameraModel(width, height),
        LidarModel(azimuths=options.lidar_azimuths),
        options.jpeg_quality,
    )
    skip = round(options.skip_seconds / TICK_S)
    observations: list[Observation] = []
    try:
        for tick in range(skip + round(options.seconds / TICK_S)):
            state = world.state()
            if tick >= skip:
                has_picture = (tick - skip) % options.camera_every_ticks == 0
                picture = sensors.picture(state) if has_picture else None
                observations.append(observe(state, picture, sensors.sweep(state)))
            if world.step(pursue(state.target_points, state.speed_mps)) is not None:
                break
    finally:
        world.close()
    return observations


if __name__ == "__main__":
    sys.exit(main())
