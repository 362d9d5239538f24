"""A client process: vehicles of one kind. Each line of standard input is a number of seconds to work.

For each it prints one line of JSON: seconds of every answered request, the requests that failed, and the
wall seconds that it took. `--pause-ms` waits between requests, for probes.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time

import grpc
import vehicles


def make(kind: str, address: str, payload: str) -> vehicles.Step:
    """The step of one vehicle."""
    if kind == "egodriver":
        from egodriver_vehicle import Rollout

        return Rollout(address).step
    return getattr(vehicles, kind)(address, payload)


def work(step: vehicles.Step, seconds: float, pause_s: float, out: list[dict]) -> None:
    """Requests one after the other for `seconds`."""
    times, failed = [], 0
    began = time.perf_counter()
    end = began + seconds
    while time.perf_counter() < end:
        try:
            times.append(step())
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            failed += 1
        if pause_s > 0:
            time.sleep(pause_s)
    out.append({"seconds": times, "failed": failed, "wall_s": time.perf_counter() - began})


def main() -> None:
    """Makes the vehicles, says so, and works as told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("address")
    parser.add_argument("payload")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pause-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    steps = [
        make(arguments.kind, arguments.address, arguments.payload) for _ in range(arguments.threads)
    ]
    for step in steps:
        step()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        out: list[dict] = []
        workers = [
            threading.Thread(target=work, args=(step, float(line), arguments.pause_ms / 1e3, out))
            for step in steps
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        result = {
            "seconds": [value for part in out for value in part["seconds"]],
            "failed": sum(part["failed"] for part in out),
            "wall_s": max(part["wall_s"] for part in out),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
