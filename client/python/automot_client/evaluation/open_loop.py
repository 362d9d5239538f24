"""Replays recorded episodes through a service and compares its plans with the record.

The record's own vehicle drives on whatever is planned: a score of single plans, not of driving.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from automot_client.bridge.projection import CameraModel
from automot_client.driving.planner_port import PlanFailed, PlannerPort, ServicePlanner
from automot_client.evaluation import nuscenes, plan_times
from automot_client.evaluation.open_loop_scores import (
    FrameScore,
    per_episode,
    score_frame,
    summarise,
)
from automot_client.evaluation.replay_episode import ReplayEpisode, read_recorded
from automot_client.evaluation.route_job import CONTEXTS, DriveSettings
from automot_client.evaluation.run_folder import write_whole
from automot_client.evaluation.sensing_modes import SENSOR_MODES, SensorFilter
from automot_client.session_options import SessionOptions

FORMAT = "automot-open-loop-results"
VERSION = 1
_EXPECTED_EPISODE_S = 20.0
_PLAN_DEADLINE_S = 120.0
_SHOWN = (
    ("l2_1s_m", "l2_2s_m", "l2_3s_m", "l2_average_m", "final_displacement_m"),
    ("collided_1s", "collided_2s", "collided_3s", "label_collided_3s"),
    ("route_lateral_3m_m", "route_lateral_10m_m", "route_lateral_20m_m"),
    ("decision_now_accuracy", "decision_1s_accuracy", "decision_2s_accuracy"),
    ("decision_mean_accuracy", "decision_joint_accuracy"),
    ("brake_recall", "brake_precision", "hard_brake_recall", "hard_brake_precision"),
)

# Reads one episode when it is its turn.
Source = tuple[str, Callable[[], ReplayEpisode]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `automot-eval open-loop` takes."""
    parser.add_argument("--data", type=Path, required=True, help="data set's folder")
    parser.add_argument(
        "--format", choices=("automot", "nuscenes"), default="automot", help="of the data set"
    )
    parser.add_argument("--split", default="validation", help="of the data set (automot)")
    parser.add_argument("--version", default="v1.0-mini", help="folder of the tables (nuscenes)")
    parser.add_argument("--episodes", type=int, default=0, help="the first so many; 0: all")
    parser.add_argument("--every", type=int, default=1, help="score each so-manieth frame")
    parser.add_argument("--service", required=True, metavar="HOST:PORT", help="planning service")
    parser.add_argument("--processes", type=int, default=1, help="sessions at the same time")
    parser.add_argument(
        "--staleness", type=float, default=0.0, metavar="S", help="simulated latency of contexts"
    )
    parser.add_argument(
        "--context", choices=CONTEXTS, default="live", help="frozen: an episode's first alone"
    )
    parser.add_argument("--reasoning-rate-hz", type=float, default=4.0, help="refreshes")
    parser.add_argument(
        "--sensors", choices=tuple(SENSOR_MODES), default="full", help="what is shown"
    )
    parser.add_argument("--drop-frames", type=float, default=0.0, help="chance of a lost picture")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")


def run(options: argparse.Namespace) -> int:
    """Entry point; 0 when all episodes are scored, 1 when one failed, 2 on bad arguments."""
    from automot_client.client import PlannerClient

    try:
        with PlannerClient(options.service) as client:
            client.wait_ready(60.0)
            info = client.server_info()
        settings = _settings(options, info.model_revision)
        sources = find_episodes(options, info.camera_size)
        _begin(options.out, settings)
    except (OSError, ValueError) as error:  # A TimeoutError is an OSError.
        print(f"automot-eval open-loop: {error}", file=sys.stderr)
        return 2
    camera = CameraModel(*info.camera_size) if info.camera_size else CameraModel()

    def score(source: Source) -> list[FrameScore]:
        episode = source[1]()
        session = _session(options, episode.period_s)
        name = f"eval-{uuid.uuid4().hex[:8]}"
        planner = ServicePlanner(options.service, None, name, session, _PLAN_DEADLINE_S)
        try:
            shown = SensorFilter(options.sensors, camera, options.drop_frames)
            return replay(episode, planner, shown, options.every)
        finally:
            planner.close()

    return evaluate(options.out, settings, sources, score, options.processes)


def find_episodes(options: argparse.Namespace, camera_size: tuple[int, int] | None) -> list[Source]:
    """What is to be played. ValueError where there is nothing."""
    if options.every < 1:
        raise ValueError(f"--every {options.every}: must be at least 1")
    if options.format == "nuscenes":
        found = nuscenes.find_scenes(options.data / options.version, options.data, camera_size)
    else:
        folders = sorted((options.data / options.split).glob("seed-*"))
        found = [(folder.name, functools.partial(read_recorded, folder)) for folder in folders]
    if not found:
        raise ValueError(f"{options.data}: has no episode of split {options.split!r}")
    return found[: options.episodes] if options.episodes else found


def replay(
    episode: ReplayEpisode, planner: PlannerPort, shown: SensorFilter, every: int = 1
) -> list[FrameScore]:
    """Plays an episode and scores the frames that count. PlanFailed where a plan does not come."""
    scores: list[FrameScore] = []
    times: list[float] = []  # of the plans since the last frame that counted
    for index, frame in enumerate(episode.frames):
        plan = planner.plan(shown.apply(frame.observation))
        times += plan_times.plan_ms(plan)
        if frame.scored and index % every == 0:
            scores.append(score_frame(episode, index, plan) | {"plan_ms": times})
            times = []
    return scores


def evaluate(
    out: Path,
    settings: dict[str, Any],
    sources: Sequence[Source],
    score: Callable[[Source], list[FrameScore]],
    processes: int,
) -> int:
    """Scores what is missing, showing progress, and writes the results."""
    missing = [source for source in sources if not _file(out, source[0]).exists()]
    minutes = -(-len(missing) // processes) * _EXPECTED_EPISODE_S / 60
    print(
        f"{len(missing)} episodes to replay, {len(sources) - len(missing)} are there; "
        f"about {minutes:.1f} minutes",
        flush=True,
    )
    began, failed = time.monotonic(), 0

    def attempt(source: Source) -> tuple[Source, list[FrameScore] | str]:
        try:
            return source, score(source)
        except (PlanFailed, OSError, ValueError) as error:
            return source, f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(processes) as pool:
        for count, (source, found) in enumerate(pool.map(attempt, missing), start=1):
            if isinstance(found, str):
                failed += 1
                print(f"  {source[0]}: {found}", file=sys.stderr, flush=True)
                continue
            write_whole(_file(out, source[0]), json.dumps(found))
            left = (time.monotonic() - began) / count * (len(missing) - count) / 60
            print(
                f"  {count}/{len(missing)} {source[0]}: {len(found)} frames, {left:.1f} minutes left"
            )
    done = [_file(out, name) for name, _ in sources if _file(out, name).exists()]
    scores = {file.stem: json.loads(file.read_text()) for file in done}
    try:
        figures = summarise(list(scores.values()))
    except ValueError as error:
        print(f"automot-eval open-loop: {error}", file=sys.stderr)
        return 1
    head = {"format": FORMAT, "version": VERSION, "settings": settings}
    figures["per_episode"] = per_episode(scores)
    write_whole(out / "results.json", json.dumps(head | figures, indent=1))
    print(text_summary(figures))
    return 1 if failed else 0


def text_summary(figures: dict[str, Any]) -> str:
    """The table for the terminal."""
    lines = [f"{figures['episodes']} episodes, {figures['frames']} frames"]
    for group in _SHOWN:
        for name in group:
            if name in figures:
                low, high = figures[f"{name}_interval"]
                lines.append(f"  {name:24} {figures[name]:8.3f}  [{low:.3f}, {high:.3f}]")
    return "\n".join(lines)


def _session(options: argparse.Namespace, period_s: float) -> SessionOptions:
    drive = DriveSettings(
        sensors=options.sensors,
        context=options.context,
        staleness_s=options.staleness,
        reasoning_rate_hz=min(options.reasoning_rate_hz, 1.0 / period_s),
    )
    return dataclasses.replace(
        drive.session(),
        planning_rate_hz=1.0 / period_s,
        run_controller=False,
        on_missing_modality="flag",
    )


def _settings(options: argparse.Namespace, revision: str) -> dict[str, Any]:
    names = ["format", "split", "every", "staleness", "context", "reasoning_rate_hz"]
    names += ["sensors", "drop_frames"]
    return {name: getattr(options, name) for name in names} | {"model_revision": revision}


def _begin(out: Path, settings: dict[str, Any]) -> None:
    file = out / "config.json"
    if file.exists() and json.loads(file.read_text()) != settings:
        raise ValueError(f"{out} holds a run with other settings; take another --out")
    (out / "episodes").mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(settings, indent=1))


def _file(out: Path, name: str) -> Path:
    return out / "episodes" / f"{name}.json"
