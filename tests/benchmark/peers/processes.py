"""Server and client processes of a run."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import payloads

HERE = Path(__file__).resolve().parent
START_LIMIT_S = 60.0


@dataclass(frozen=True)
class Slice:
    """What clients of one kind did in one stretch of time."""

    seconds: list[float]
    failed: int
    per_second: float


class Clients:
    """`count` processes of tests/benchmark/peers/client.py, or of another program that speaks as it does."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        arguments: Sequence[str],
        count: int = 1,
        program: Sequence[str] = (sys.executable, str(HERE / "client.py")),
    ) -> None:
        command = [*program, *arguments]
        self._processes = [
            stack.enter_context(running(command, stdin=subprocess.PIPE)) for _ in range(count)
        ]
        for process in self._processes:
            read_line(process)

    def begin(self, seconds: float) -> None:
        """Starts all of them at once."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()

    def end(self) -> Slice:
        """Waits for all and puts their results together."""
        parts = [read_line(process) for process in self._processes]
        return Slice(
            [value for part in parts for value in part["seconds"]],
            sum(part["failed"] for part in parts),
            sum(len(part["seconds"]) / part["wall_s"] for part in parts),
        )

    def work(self, seconds: float) -> Slice:
        """One stretch."""
        self.begin(seconds)
        return self.end()


@contextlib.contextmanager
def running(command: Sequence[str], **options: object) -> Iterator[subprocess.Popen]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_line(process: subprocess.Popen) -> dict:
    """The next line of a process, which is JSON."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{' '.join(map(str, process.args))} ended")
    return json.loads(line)


def automot_server(
    stack: contextlib.ExitStack, program: Path, expert_ms: float, address: str = "127.0.0.1:0"
) -> str:
    """automot-synthetic-server; its address."""
    width, height = payloads.CAMERA_SIZE
    command = [str(program), "--address", address, "--metrics-address", "127.0.0.1:0"]
    command += ["--expert-ms", str(expert_ms), "--reasoning-ms", "0", "--log-level", "error"]
    command += ["--bev-channels", str(payloads.BEV_CHANNELS)]
    command += ["--camera-width", str(width), "--camera-height", str(height), "--plain-pictures"]
    return read_line(stack.enter_context(running(command)))["planning"]


def openpi_server(stack: contextlib.ExitStack, policy_ms: float) -> str:
    """openpi-server around a policy of that duration; its address."""
    port = free_port()
    script = str(HERE / "openpi_null_server.py")
    command = [sys.executable, script, "--port", str(port), "--policy-ms", str(policy_ms)]
    return wait_listening(stack.enter_context(running(command)), port)


def egodriver_server(stack: contextlib.ExitStack) -> str:
    """carla-driver-interface's server with its simplest policy; its address."""
    port = free_port()
    program = str(Path(sys.executable).with_name("carla-driver-interface"))
    command = [program, "serve", "--policy", "constant_speed", "--mode", "alpasim"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    process = stack.enter_context(running(command, stderr=subprocess.DEVNULL))
    return wait_listening(process, port)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_listening(process: subprocess.Popen, port: int) -> str:
    """The address, once something listens there."""
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return f"127.0.0.1:{port}"
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{' '.join(map(str, process.args))} does not listen")
