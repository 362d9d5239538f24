"""Drives many held-out routes, some at a time, and scores them.

A driven route's result is kept in a file: a cut-off run goes on where it was, and a longer one adds to it.
Simulated time stands while a plan is made, so scores do not depend on the machine's speed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from automot_client.bridge.route import TargetPointRule
from automot_client.bridge.splits import SPLITS, seeds_of
from automot_client.bridge.world import WorldOptions
from automot_client.evaluation.results import text_summary
from automot_client.evaluation.route_job import CONTEXTS, DriveSettings, RouteJob
from automot_client.evaluation.run_folder import RunFolder, write_whole
from automot_client.evaluation.scoring import RouteResult
from automot_client.evaluation.sensing_modes import SENSOR_MODES

DRIVERS = ("service", "teacher", "blind_route", "straight_lines")
# Of one process on a free core, for the time that is announced before a route is done.
_EXPECTED_ROUTE_S = {"service": 40.0}
_EXPECTED_LOCAL_ROUTE_S = 12.0

Drive = Callable[[RouteJob], RouteResult]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `automot-eval closed-loop` takes."""
    default = DriveSettings()
    parser.add_argument("--service", default="", metavar="HOST:PORT", help="planning service")
    parser.add_argument("--driver", choices=DRIVERS, default=default.driver, help="who drives")
    parser.add_argument("--split", choices=tuple(SPLITS), default=default.split, help="seeds of")
    parser.add_argument("--seeds", type=int, default=20, help="routes to drive")
    parser.add_argument("--seed-offset", type=int, default=0, help="first seed within the split")
    parser.add_argument("--density", type=float, default=default.density, help="traffic density")
    parser.add_argument(
        "--accidents", type=float, default=default.accidents, help="chance of one per road block"
    )
    parser.add_argument("--processes", type=int, default=1, help="simulators at the same time")
    parser.add_argument(
        "--staleness",
        type=float,
        default=default.staleness_s,
        metavar="S",
        help="simulated latency of contexts, seconds",
    )
    parser.add_argument(
        "--context", choices=CONTEXTS, default=default.context, help="frozen: a route's first alone"
    )
    parser.add_argument(
        "--sensors", choices=tuple(SENSOR_MODES), default=default.sensors, help="what is shown"
    )
    parser.add_argument(
        "--drop-frames", type=float, default=default.drop_frames, help="chance of a lost picture"
    )
    parser.add_argument(
        "--reasoning-rate-hz", type=float, default=default.reasoning_rate_hz, help="refreshes"
    )
    parser.add_argument("--target-point-rule", help="[the checkpoint's own]")
    parser.add_argument("--videos", type=int, default=4, help="pages with a video, the first seeds")
    parser.add_argument("--no-pages", action="store_true", help="figures alone")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")


def run(options: argparse.Namespace) -> int:
    """Entry point; 0 when all routes are driven, 1 when one failed, 2 on bad arguments."""
    try:
        seeds = seeds_of(options.split, options.seeds, options.seed_offset)
        settings = read_settings(options)
        RunFolder(options.out).begin(settings)
    except (ValueError, TimeoutError) as error:
        print(f"automot-eval closed-loop: {error}", file=sys.stderr)
        return 2
    jobs = [
        RouteJob(
            options.out,
            seed,
            settings,
            options.service,
            index < options.videos and not options.no_pages,
            not options.no_pages,
        )
        for index, seed in enumerate(seeds)
    ]
    try:
        return evaluate(jobs, options.processes)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here")
        return 1


def read_settings(options: argparse.Namespace) -> DriveSettings:
    """The settings that are asked for. ValueError names a bad one, TimeoutError a service that is away."""
    if options.driver == "service" and not options.service:
        raise ValueError("--driver service needs --service HOST:PORT")
    if options.processes < 1:
        raise ValueError(f"--processes {options.processes}: must be at least 1")
    if not 0.0 <= options.drop_frames < 1.0:
        raise ValueError(f"--drop-frames {options.drop_frames}: must be in [0, 1)")
    rule, revision = options.target_point_rule, ""
    if options.driver == "service":
        rule, revision = _ask_service(options.service, rule)
    rule = rule or WorldOptions.target_point_rule
    TargetPointRule(rule)
    return DriveSettings(
        driver=options.driver,
        split=options.split,
        density=options.density,
        accidents=options.accidents,
        sensors=options.sensors,
        context=options.context,
        staleness_s=options.staleness,
        reasoning_rate_hz=options.reasoning_rate_hz,
        drop_frames=options.drop_frames,
        target_point_rule=rule,
        model_revision=revision,
    )


def evaluate(jobs: list[RouteJob], processes: int, drive: Drive | None = None) -> int:
    """Drives what is missing, showing progress; writes the results; 1 where a route failed.

    `drive` replaces the simulator in tests; it is called in this process.
    """
    settings, folder = jobs[0].settings, RunFolder(jobs[0].out)
    seeds = [job.seed for job in jobs]
    missing = [job for job in jobs if not job.result_file.exists()]
    print(announcement(folder.done(seeds), len(missing), processes, settings.driver), flush=True)
    began, failed = time.monotonic(), 0
    for count, (job, outcome) in enumerate(_run(missing, processes, drive), start=1):
        if isinstance(outcome, str):
            failed += 1
            print(f"  seed {job.seed}: {outcome}", file=sys.stderr, flush=True)
            continue
        write_whole(job.result_file, json.dumps(outcome.to_json(), indent=1))
        left_s = (time.monotonic() - began) / count * (len(missing) - count)
        print(_progress(count, len(missing), outcome, folder.done(seeds), left_s), flush=True)
    routes = folder.done(seeds)
    if not routes:
        print("no route was driven", file=sys.stderr)
        return 1
    print(text_summary(folder.write_results(routes, settings)))
    print(f"results: {folder.out / 'results.json'}, pages: {folder.out / 'index.html'}")
    return 1 if failed else 0


def announcement(done: list[RouteResult], missing: int, processes: int, driver: str) -> str:
    """What is to do and how long it takes: by the routes that are there, else by experience."""
    expected_s = _EXPECTED_ROUTE_S.get(driver, _EXPECTED_LOCAL_ROUTE_S)
    if done:
        expected_s = sum(route.wall_s for route in done) / len(done)
    minutes = -(-missing // processes) * expected_s / 60
    return (
        f"{missing} routes to drive, {len(done)} are there; about {minutes:.1f} minutes "
        f"with {processes} processes"
    )


def _progress(
    count: int, of: int, route: RouteResult, done: list[RouteResult], left_s: float
) -> str:
    successes = sum(one.success for one in done)
    return (
        f"  {count}/{of} seed {route.seed}: {route.outcome}, route {route.route_completion:.0%}, "
        f"{route.seconds:.0f} s simulated in {route.wall_s:.0f} s; "
        f"success {successes}/{len(done)}, {left_s / 60:.1f} minutes left"
    )


def _ask_service(address: str, rule: str | None) -> tuple[str, str]:
    from automot_client.client import PlannerClient
    from automot_client.drive import choose_target_point_rule

    with PlannerClient(address) as client:
        client.wait_ready(60.0)
        info = client.server_info()
    return choose_target_point_rule(rule, info.target_point_rule), info.model_revision


def _run(
    jobs: list[RouteJob], processes: int, drive: Drive | None
) -> Iterator[tuple[RouteJob, RouteResult | str]]:
    if drive is not None or processes == 1 or len(jobs) < 2:
        yield from (_attempt(job, drive) for job in jobs)
        return
    # A fresh process now and then: the simulator does not free all that it takes.
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=20) as pool:
        yield from pool.imap_unordered(_attempt, jobs)


def _attempt(job: RouteJob, drive: Drive | None = None) -> tuple[RouteJob, Any]:
    if drive is None:
        from automot_client.evaluation.route_drive import drive_route

        drive = drive_route
    try:
        return job, drive(job)
    except Exception as error:  # One scene that the simulator cannot make must not end the run.
        return job, f"{type(error).__name__}: {error}"
