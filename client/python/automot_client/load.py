"""Load test: `python -m automot_client.load` plans for many vehicles at a rate, prints percentiles as JSON.

Each session is a synthetic vehicle with a connection of its own. Latency counts from the intended start of a
tick (`from_intended_ms`: what a vehicle feels) and from its sending (`from_sent_ms`: server and network).
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
import uuid
from typing import Any

import grpc

from automot_client.client import Deadlines, PlannerClient, SessionOptions
from automot_client.loading.open_loop import Schedule, run_schedule
from automot_client.loading.synthetic import SyntheticVehicle
from automot_client.loading.tally import Tally

_DEFAULT_CAMERA = (256, 128)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m automot_client.load",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--planning-address", default="127.0.0.1:50051", metavar="A")
    parser.add_argument("--sessions", type=int, default=4, help="vehicles at once")
    parser.add_argument("--rate-hz", type=float, default=10.0, help="plans per second and vehicle")
    parser.add_argument("--reasoning-rate-hz", type=float, default=2.0, help="contexts per second")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long")
    parser.add_argument("--deadline-seconds", type=float, default=1.0, help="of each plan")
    parser.add_argument("--wait-ready-seconds", type=float, default=60.0, help="for the service")
    options = parser.parse_args(arguments)
    for name in ("sessions", "rate_hz", "seconds", "deadline_seconds"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}, must be above 0")
    return options


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the load and returns the report."""
    deadlines = Deadlines(plan_s=options.deadline_seconds)
    with PlannerClient(options.planning_address, deadlines=deadlines) as client:
        client.wait_ready(options.wait_ready_seconds)
        info = client.server_info()
    tally = Tally()
    camera = info.camera_size or _DEFAULT_CAMERA
    # Making pictures must not eat into the schedule.
    vehicles = [SyntheticVehicle(seed, camera) for seed in range(options.sessions)]
    begin = time.monotonic() + 0.1
    threads = [
        threading.Thread(target=_drive, args=(options, deadlines, vehicle, index, begin, tally))
        for index, vehicle in enumerate(vehicles)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "weights": "trained" if info.weights_trained else "untrained",
        "model_revision": info.model_revision,
        "lane": info.lane,
        "sessions": options.sessions,
        "rate_hz": options.rate_hz,
        "planned": options.sessions * _ticks(options),
        "seconds": round(time.monotonic() - begin, 3),
        **tally.summary(),
    }


def _ticks(options: argparse.Namespace) -> int:
    return max(1, round(options.seconds * options.rate_hz))


def _drive(
    options: argparse.Namespace,
    deadlines: Deadlines,
    vehicle: SyntheticVehicle,
    index: int,
    begin: float,
    tally: Tally,
) -> None:
    """One vehicle, from its session's opening to its closing; starts are spread over a period."""
    session_options = SessionOptions(
        planning_rate_hz=options.rate_hz, reasoning_rate_hz=options.reasoning_rate_hz
    )
    ticks = _ticks(options)
    offset = index / options.sessions / options.rate_hz
    schedule = Schedule(begin + offset, options.rate_hz, ticks)
    name = f"load-{uuid.uuid4().hex[:12]}"
    try:
        with (
            PlannerClient(options.planning_address, deadlines=deadlines) as client,
            client.open_session(name, session_options) as session,
        ):
            run_schedule(schedule, vehicle.observe, session.plan, tally)
    except grpc.RpcError as error:  # The session could not be opened or closed.
        tally.failed(f"SESSION_{error.code().name}")


def main(arguments: list[str] | None = None) -> int:
    """Prints the report; exit status 1 when not one plan was answered."""
    try:
        report = run(parse_arguments(arguments))
    except TimeoutError as error:
        print(f"automot_client.load: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report, indent=2))
    return 0 if report["answered"] else 1


if __name__ == "__main__":
    sys.exit(main())
