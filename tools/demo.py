#!/usr/bin/env python3
"""Starts the services on the embedded default, drives a car through them, and stops them again.

Called by `tools/dev.sh demo`, which installs and builds what this needs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

START_TIMEOUT_S = 120


def parse_arguments() -> argparse.Namespace:
    """Reads the command line; every option that is not about processes goes to automot-drive."""
    parser = argparse.ArgumentParser(prog="tools/dev.sh demo", description=__doc__)
    parser.add_argument("--bin-dir", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help="checkpoint folder [a random one is made]")
    parser.add_argument("--two-processes", action="store_true", help="reasoning and planning apart")
    parser.add_argument("--seconds", type=float, default=60.0, help="simulated time to drive [60]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first episode [0]")
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="folder of the report [out/demo]"
    )
    parser.add_argument("--pace", choices=("realtime", "max"), default="realtime")
    parser.add_argument(
        "--fault",
        metavar="KIND@S",
        help="freeze, kill or restart the reasoning process at second S",
    )
    parser.add_argument(
        "--fault-duration", type=float, default=10.0, help="simulated seconds to recovery [10]"
    )
    options = parser.parse_args()
    if options.fault and not options.two_processes:
        print("--fault acts on the reasoning process: running with --two-processes", flush=True)
        options.two_processes = True
    return options


def default_checkpoint(bin_dir: Path, out: Path) -> Path:
    """The embedded default: small, random weights."""
    path = out.parent / "checkpoints" / "nano"
    if not (path / "model.safetensors").exists():
        print(f"making a random checkpoint in {path} (untrained weights)", flush=True)
        subprocess.run(
            [bin_dir / "automot-make-checkpoint", "--preset", "nano", "--out", path], check=True
        )
    return path


@contextlib.contextmanager
def service(
    command: list[str], log: Path
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Runs a service; yields its process and the addresses of its first line; ends it with SIGTERM."""
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit(
                    f"{command[0]} ended with status {process.wait()}; its log:\n{log.read_text()[-4000:]}"
                )
            yield process, json.loads(line)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until_ready(bin_dir: Path, address: str) -> None:
    """Asks the service's health until it serves."""
    probe = [
        bin_dir / "automot-health-probe",
        "--address",
        address,
        "--timeout_s",
        str(START_TIMEOUT_S),
    ]
    if subprocess.run(probe, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        sys.exit(f"the service at {address} is not ready")


def drive(options: argparse.Namespace, addresses: dict[str, str], extra: list[str]) -> int:
    """Runs automot-drive against the services."""
    command = [sys.executable, "-m", "automot_client.drive"]
    command += [
        "--planning-address",
        addresses["planning"],
        "--reasoning-address",
        addresses["reasoning"],
    ]
    command += ["--seconds", str(options.seconds), "--seed", str(options.seed)]
    command += ["--out", str(options.out), "--pace", options.pace]
    return subprocess.run(command + extra, check=False).returncode


def run_one_process(options: argparse.Namespace) -> int:
    """Both services in automot-serve."""
    command = [str(options.bin_dir / "automot-serve"), "--checkpoint", str(options.checkpoint)]
    command += ["--planning-address", "127.0.0.1:0", "--reasoning-address", "127.0.0.1:0"]
    command += ["--metrics-address", "127.0.0.1:0"]
    with service(command, options.out / "serve.log") as (_, addresses):
        print(f"automot-serve: {addresses}", flush=True)
        wait_until_ready(options.bin_dir, addresses["planning"])
        return drive(options, addresses, [])


def run_two_processes(options: argparse.Namespace) -> int:
    """automot-reasoning and automot-planning, snapshots over gRPC."""
    reasoning_command = [
        str(options.bin_dir / "automot-reasoning"),
        "--checkpoint",
        str(options.checkpoint),
    ]
    with contextlib.ExitStack() as stack:
        reasoning, slow = stack.enter_context(
            service(
                [
                    *reasoning_command,
                    "--address",
                    "127.0.0.1:0",
                    "--metrics-address",
                    "127.0.0.1:0",
                ],
                options.out / "reasoning.log",
            )
        )
        planning_command = [
            str(options.bin_dir / "automot-planning"),
            "--checkpoint",
            str(options.checkpoint),
        ]
        planning_command += ["--address", "127.0.0.1:0", "--reasoning-address", slow["reasoning"]]
        planning_command += ["--metrics-address", "127.0.0.1:0"]
        _, fast = stack.enter_context(service(planning_command, options.out / "planning.log"))
        print(f"automot-reasoning: {slow}\nautomot-planning: {fast}", flush=True)
        wait_until_ready(options.bin_dir, slow["reasoning"])
        wait_until_ready(options.bin_dir, fast["planning"])
        extra = []
        if options.fault:
            again = shlex.join(
                [
                    *reasoning_command,
                    "--address",
                    slow["reasoning"],
                    "--metrics-address",
                    "127.0.0.1:0",
                ]
            )
            extra = ["--fault", options.fault, "--fault-duration", str(options.fault_duration)]
            extra += ["--reasoning-pid", str(reasoning.pid), "--reasoning-command", again]
        return drive(options, {"planning": fast["planning"], "reasoning": slow["reasoning"]}, extra)


def main() -> int:
    """Entry point."""
    options = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.checkpoint is None:
        options.checkpoint = default_checkpoint(options.bin_dir, options.out)
    return run_two_processes(options) if options.two_processes else run_one_process(options)


if __name__ == "__main__":
    sys.exit(main())
