"""One program of a fleet as a process: started on a port that it keeps, ended with SIGTERM, started again."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import grpc

from automot_client._generated.automot.v1 import (
    planning_service_pb2,
    planning_service_pb2_grpc,
    reasoning_service_pb2,
    reasoning_service_pb2_grpc,
)

LIMIT_S = 120.0  # Of starting and of ending.
CHECKPOINT = Path(__file__).resolve().parents[1] / "golden/data/tiny"


def missing_program() -> str | None:
    """What is missing to run a fleet, else None."""
    folder = os.environ.get("AUTOMOT_BIN_DIR")
    if not folder:
        return "AUTOMOT_BIN_DIR is not set"
    for name in ("automot-planning", "automot-reasoning"):
        if not (Path(folder) / name).exists():
            return f"{name} is not built"
    return None


class Replica:
    """`loop` is planning or reasoning. Not thread-safe."""

    def __init__(self, loop: str, log: Path, flags: list[str]) -> None:
        self.address = "127.0.0.1:0"
        self._loop, self._log, self._flags = loop, log, flags
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Starts the program where it was before, and waits until it says that it is ready."""
        program = Path(os.environ["AUTOMOT_BIN_DIR"]) / f"automot-{self._loop}"
        command = [str(program), "--checkpoint", str(CHECKPOINT), "--address", self.address]
        command += ["--metrics-address", "127.0.0.1:0", "--drain-seconds", "5", *self._flags]
        with self._log.open("a") as errors:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"automot-{self._loop} did not start:\n{self._log.read_text()[-4000:]}"
        self.address = json.loads(line)[self._loop]
        self._wait_until_ready()

    def restart(self) -> None:
        """As a rollout does: SIGTERM, its own end with status 0, a successor."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Ends the program in order."""
        assert self._process is not None and self._process.stdout is not None
        self._process.terminate()
        status = self._process.wait(LIMIT_S)
        self._process.stdout.close()
        assert status == 0, f"automot-{self._loop}: {status}:\n{self._log.read_text()[-4000:]}"

    def kill(self) -> None:
        """What a test that failed leaves behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(LIMIT_S)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + LIMIT_S
        with grpc.insecure_channel(self.address) as channel:
            grpc.channel_ready_future(channel).result(LIMIT_S)
            while not self._ready(channel):
                assert time.monotonic() < end, f"automot-{self._loop} is not ready"
                time.sleep(0.05)

    def _ready(self, channel: grpc.Channel) -> bool:
        if self._loop == "planning":
            planning = planning_service_pb2_grpc.PlanningServiceStub(channel)
            return planning.GetPlanningStatus(
                planning_service_pb2.GetPlanningStatusRequest(), timeout=LIMIT_S
            ).ready
        reasoning = reasoning_service_pb2_grpc.ReasoningServiceStub(channel)
        return reasoning.GetReasoningStatus(
            reasoning_service_pb2.GetReasoningStatusRequest(), timeout=LIMIT_S
        ).ready
