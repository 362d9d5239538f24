"""automot-collect: records episodes for training, driven by a teacher that knows the whole state.

Episodes that are there already are not made again, so a cut-off run goes on where it was. Held-out test
scenes are never recorded.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automot_client.bridge.route import TargetPointRule
from automot_client.bridge.splits import COLLECTED_SPLITS, seeds_of

if TYPE_CHECKING:
    from automot_client.dataset.recorder import EpisodeJob, EpisodeSummary

# Of one process on one free core, for the time that is announced before the first episode is done.
_EXPECTED_EPISODE_S = 25.0
_GIB = 2**30


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="automot-collect",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="data set's folder")
    parser.add_argument("--split", choices=COLLECTED_SPLITS, default="train", help="whose seeds")
    parser.add_argument("--episodes", type=int, default=10, help="episodes that shall be there")
    parser.add_argument("--seed-offset", type=int, default=0, help="first seed within the split")
    parser.add_argument("--processes", type=int, default=1, help="simulators at the same time")
    parser.add_argument(
        "--source", choices=("teacher", "dagger"), default="teacher", help="who drives"
    )
    parser.add_argument("--service", default="", metavar="HOST:PORT", help="planner (dagger)")
    parser.add_argument("--camera-size", default="256x128", metavar="WxH", help="pixels")
    parser.add_argument(
        "--target-point-rule", default="route_distance:8,20", help="the checkpoint's rule"
    )
    parser.add_argument("--max-seconds", type=float, default=120.0, help="of one episode")
    parser.add_argument("--max-gib", type=float, default=20.0, help="stop at this size")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; 0 when all episodes are there, 1 when one failed or space ran out, 2 on bad arguments."""
    options = parse_arguments(arguments)
    try:
        jobs = plan_jobs(options)
    except ValueError as error:
        print(f"automot-collect: {error}", file=sys.stderr)
        return 2
    try:
        return _collect(options, jobs)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here")
        return 1
    finally:
        write_manifest(options.out)


def plan_jobs(options: argparse.Namespace) -> list[EpisodeJob]:
    """The episodes that are missing. ValueError names a bad argument."""
    from automot_client.dataset.episode_data import episode_folder
    from automot_client.dataset.recorder import EpisodeJob

    if options.source == "dagger" and not options.service:
        raise ValueError("--source dagger needs --service HOST:PORT")
    if options.processes < 1:
        raise ValueError(f"--processes {options.processes}: must be at least 1")
    TargetPointRule(options.target_point_rule)
    try:
        width, height = (int(value) for value in options.camera_size.split("x"))
    except ValueError:
        raise ValueError(f"--camera-size {options.camera_size!r}: want WxH") from None
    seeds = seeds_of(options.split, options.episodes, options.seed_offset)
    return [
        EpisodeJob(
            options.out,
            seed,
            options.source,
            options.service,
            width,
            height,
            options.target_point_rule,
            options.max_seconds,
        )
        for seed in seeds
        if not episode_folder(options.out, options.split, seed, options.source).exists()
    ]


def write_manifest(out: Path) -> dict[str, Any]:
    """Writes `manifest.json` of all whole episodes in a data set, and returns it."""
    episodes = []
    for path in sorted(out.glob("*/seed-*/episode.json")):
        header = json.loads(path.read_text())
        episodes.append(
            {
                "episode": f"{path.parent.parent.name}/{path.parent.name}",
                "map_seed": header["map_seed"],
                "source": header["source"],
                "frames": header["frames"],
                "questions": len(header["questions"]),
                "outcome": header["teacher"]["outcome"],
                "bytes": sum(file.stat().st_size for file in path.parent.iterdir()),
            }
        )
    total = {
        key: sum(episode[key] for episode in episodes) for key in ("frames", "questions", "bytes")
    }
    manifest = {"format": "automot-driving-manifest", "version": 1, **total, "episodes": episodes}
    out.mkdir(parents=True, exist_ok=True)
    partial = out / ".manifest.partial"
    partial.write_text(json.dumps(manifest, indent=1))
    partial.replace(out / "manifest.json")
    return manifest


def _collect(options: argparse.Namespace, jobs: list[EpisodeJob]) -> int:
    there = options.episodes - len(jobs)
    rounds = -(-len(jobs) // options.processes)
    print(
        f"{len(jobs)} episodes to record, {there} are there; about "
        f"{rounds * _EXPECTED_EPISODE_S / 60:.1f} minutes with {options.processes} processes",
        flush=True,
    )
    began, done, frames, failed = time.monotonic(), 0, 0, 0
    size = sum(file.stat().st_size for file in options.out.glob("*/seed-*/*"))
    for outcome in _run(jobs, options.processes):
        done += 1
        if isinstance(outcome, str):
            failed += 1
            print(f"  {outcome}", file=sys.stderr, flush=True)
            continue
        frames += outcome.frames
        size += outcome.bytes
        wall = time.monotonic() - began
        print(
            f"  {done}/{len(jobs)} {outcome.folder}: {outcome.frames} frames, {outcome.outcome}, "
            f"route {outcome.route_completion:.0%}; {frames / wall:.0f} frames/s, "
            f"{wall / done * (len(jobs) - done) / 60:.1f} minutes left",
            flush=True,
        )
        write_manifest(options.out)
        if size > options.max_gib * _GIB:
            print(f"automot-collect: --max-gib {options.max_gib} is reached", file=sys.stderr)
            return 1
    return 1 if failed else 0


def _run(jobs: list[EpisodeJob], processes: int) -> Iterator[EpisodeSummary | str]:
    if processes == 1 or len(jobs) < 2:
        yield from map(_attempt, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=20) as pool:
        yield from pool.imap_unordered(_attempt, jobs)


def _attempt(job: EpisodeJob) -> EpisodeSummary | str:
    from automot_client.dataset.recorder import record_episode

    try:
        return record_episode(job)
    except Exception as error:  # One scene that the simulator cannot make must not end the run.
        return f"seed {job.seed}: {type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
