"""automot-evaluate-teacher: how well the teacher itself drives, on seeds of the validation split."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from dataclasses import dataclass

import numpy as np

from automot_client.bridge.splits import COLLECTED_SPLITS, seeds_of
from automot_client.evaluation.statistics import wilson_interval

_EXPECTED_EPISODE_S = 15.0


@dataclass(frozen=True)
class TeacherDrive:
    """One route as the teacher drove it; lateral error is from the route, metres."""

    seed: int
    outcome: str
    route_completion: float
    lateral_rms_m: float
    seconds: float


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="automot-evaluate-teacher",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--split", choices=COLLECTED_SPLITS, default="validation", help="seeds of")
    parser.add_argument("--seeds", type=int, default=20, help="routes to drive")
    parser.add_argument("--seed-offset", type=int, default=0, help="first seed within the split")
    parser.add_argument("--density", type=float, help="traffic density [each scene's own]")
    parser.add_argument("--accidents", type=float, help="chance per block [each scene's own]")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; 2 on bad arguments."""
    options = parse_arguments(arguments)
    try:
        seeds = seeds_of(options.split, options.seeds, options.seed_offset)
    except ValueError as error:
        print(f"automot-evaluate-teacher: {error}", file=sys.stderr)
        return 2
    print(f"{len(seeds)} routes, about {len(seeds) * _EXPECTED_EPISODE_S / 60:.1f} minutes")
    began, drives = time.monotonic(), []
    for seed in seeds:
        drives.append(drive(seed, options.density, options.accidents))
        left = (time.monotonic() - began) / len(drives) * (len(seeds) - len(drives)) / 60
        print(
            f"  {json.dumps(dataclasses.asdict(drives[-1]))}  {left:.1f} minutes left", flush=True
        )
    print(json.dumps(summarise(drives), indent=1))
    return 0


def drive(seed: int, density: float | None, accidents: float | None) -> TeacherDrive:
    """Drives one route to its end, without perturbation."""
    from automot_client.bridge.scene import draw_scene
    from automot_client.bridge.world import TICK_S, EpisodeEnd, World
    from automot_client.teacher.follower import TrajectoryFollower
    from automot_client.teacher.teacher import Teacher

    scene = draw_scene(seed)
    if density is not None:
        scene = dataclasses.replace(scene, traffic_density=density)
    if accidents is not None:
        scene = dataclasses.replace(scene, accident_probability=accidents)
    world = World(scene)
    try:
        teacher = Teacher(world.route, world.route_roads, world.ego_size[0])
        follower, errors, end = TrajectoryFollower(), [], None
        while end is None:
            state = world.state()
            errors.append(state.lateral_error_m)
            plan = teacher.plan(state)
            end = world.step(follower.step(plan.route, plan.waypoints, state.speed_mps))
        completion = 1.0 if end is EpisodeEnd.ARRIVED else world.state().route_completion
    finally:
        world.close()
    rms = float(np.sqrt(np.mean(np.square(errors))))
    return TeacherDrive(
        seed, end.value, round(completion, 4), round(rms, 4), round(len(errors) * TICK_S, 2)
    )


def summarise(drives: list[TeacherDrive]) -> dict[str, float | int | list[float]]:
    """Figures over routes; intervals of 95 %."""
    arrived = sum(one.outcome == "arrived" for one in drives)
    completion = np.array([one.route_completion for one in drives])
    drawn = np.random.default_rng(0).choice(completion, (2000, len(completion))).mean(axis=1)
    return {
        "routes": len(drives),
        "success_rate": round(arrived / len(drives), 4),
        "success_interval": [round(v, 4) for v in wilson_interval(arrived, len(drives))],
        "route_completion": round(float(completion.mean()), 4),
        "route_completion_interval": np.quantile(drawn, (0.025, 0.975)).round(4).tolist(),
        "lateral_rms_m": round(float(np.mean([one.lateral_rms_m for one in drives])), 4),
    }


if __name__ == "__main__":
    sys.exit(main())
