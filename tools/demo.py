#!/usr/bin/env python3
"""Starts the services on the embedded default, drives a car through them, and stops them again.

Options that are not listed here go to automot-drive (`automot-drive --help`). Called by
`tools/dev.sh demo`, which installs and builds what this needs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from automot_client import drive as automot_drive
from automot_client.bridge.splits import SPLITS

START_TIMEOUT_S = 120
# The first scene that no model was trained on and that models/nano finishes.
HELD_OUT = SPLITS["test"].begin + 1


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Options about processes, and what automot-drive is given beside its addresses."""
    parser = argparse.ArgumentParser(
        prog="tools/dev.sh demo", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--bin-dir", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help="checkpoint folder [models/nano]")
    parser.add_argument("--two-processes", action="store_true", help="reasoning and planning apart")
    parser.add_argument(
        "--lane",
        choices=("in_process", "shared_memory", "grpc"),
        help="demand a lane for contexts [in_process, with --two-processes the best one]",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="simulated time to drive [60]")
    parser.add_argument(
        "--seed", type=int, default=HELD_OUT, help=f"seed of the first episode [{HELD_OUT}]"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="folder of the report [out/demo]"
    )
    parser.add_argument(
        "--pace", choices=("realtime", "max"), default="realtime", help="[realtime]"
    )
    parser.add_argument(
        "--fault", metavar="KIND@S", help="freeze, kill or restart reasoning at second S"
    )
    parser.add_argument(
        "--fault-duration", type=float, default=10.0, help="seconds to recovery [10]"
    )
    parser.add_argument(
        "--chaos",
        type=int,
        metavar="SEED",
        help="damage snapshot streams, and freeze and restart reasoning, drawn from this seed",
    )
    options, rest = parser.parse_known_args()
    rest += ["--seconds", str(options.seconds), "--seed", str(options.seed)]
    rest += ["--out", str(options.out), "--pace", options.pace]
    automot_drive.parse_arguments(rest)  # A wrong option ends here, before anything is started.
    if options.fault and options.pace != "realtime":
        parser.error("--fault needs --pace realtime: a stepped session waits for its context")
    on_purpose = bool(options.fault) or options.chaos is not None
    if options.chaos is not None:
        if options.fault or options.pace != "realtime":
            parser.error("--chaos needs --pace realtime, and no --fault beside it")
        if options.lane not in (None, "grpc"):
            parser.error("--chaos damages the messages of --lane grpc")
    if options.lane == "in_process" and (options.two_processes or on_purpose):
        parser.error("--lane in_process is one process: not with --two-processes or --fault")
    if options.lane in ("shared_memory", "grpc"):
        options.two_processes = True
    if on_purpose and not options.two_processes:
        print("faults act on the reasoning process: running with --two-processes", flush=True)
        options.two_processes = True
    return options, rest


def default_checkpoint() -> Path:
    """The embedded default: the small trained model of this repository (models/nano/README.md)."""
    return Path(__file__).resolve().parent.parent / "models" / "nano"


class Service:
    """A service as a child process, in a session of its own so that Ctrl-C reaches the driving alone."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.name = Path(command[0]).name
        self._log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(
                f"{self.name} ended with status {self.process.wait()}; its log:\n{self._tail()}"
            )
        self.addresses: dict[str, str] = json.loads(line)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after 30 s. Does nothing where the process has ended."""
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not end within 30 s: killed", file=sys.stderr)
            self.process.kill()
            self.process.wait()

    def died(self) -> bool:
        """True, and said with the end of its log, where the process has ended by itself."""
        if self.process.poll() is None:
            return False
        why = f"ended with status {self.process.returncode}; its log:\n{self._tail()}"
        print(f"{self.name} {why}", file=sys.stderr)
        return True

    def _tail(self) -> str:
        return self._log.read_text()[-4000:]


@contextlib.contextmanager
def service(command: list[str], log: Path) -> Iterator[Service]:
    """Runs a service as long as the block."""
    running = Service(command, log)
    try:
        yield running
    finally:
        running.stop()


def wait_until_ready(bin_dir: Path, address: str) -> None:
    """Asks the service's health until it serves."""
    began = time.monotonic()
    probe = [
        str(bin_dir / "automot-health-probe"),
        "--address",
        address,
        "--timeout_s",
        str(START_TIMEOUT_S),
    ]
    if subprocess.run(probe, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        sys.exit(f"the service at {address} is not ready")
    print(f"ready: {address} ({time.monotonic() - began:.1f} s)", flush=True)


def drive(addresses: dict[str, str], extra: list[str]) -> int:
    """Runs automot-drive. On Ctrl-C it ends the run by itself and still writes its report: waits for that."""
    command = [sys.executable, "-m", "automot_client.drive"]
    command += [
        "--planning-address",
        addresses["planning"],
        "--reasoning-address",
        addresses["reasoning"],
    ]
    with subprocess.Popen(command + extra) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


def run_one_process(options: argparse.Namespace, rest: list[str]) -> int:
    """Both services in automot-serve."""
    command = [str(options.bin_dir / "automot-serve"), "--checkpoint", str(options.checkpoint)]
    command += ["--planning-address", "127.0.0.1:0", "--reasoning-address", "127.0.0.1:0"]
    command += ["--metrics-address", "127.0.0.1:0"]
    with service(command, options.out / "serve.log") as both:
        print(f"{both.name}: {both.addresses}", flush=True)
        wait_until_ready(options.bin_dir, both.addresses["planning"])
        status = drive(both.addresses, rest)
        return 1 if both.died() else status


def run_two_processes(options: argparse.Namespace, rest: list[str]) -> int:
    """automot-reasoning and automot-planning, snapshots from one to the other."""
    out, any_port = options.out, "127.0.0.1:0"
    common = ["--checkpoint", str(options.checkpoint), "--metrics-address", any_port]
    reasoning_command = [str(options.bin_dir / "automot-reasoning"), *common]
    if options.chaos is not None:
        reasoning_command += ["--chaos", str(options.chaos)]
    planning_command = [str(options.bin_dir / "automot-planning"), *common, "--address", any_port]
    planning_command += ["--context-lane", options.lane or "auto"]
    with service([*reasoning_command, "--address", any_port], out / "reasoning.log") as reasoning:
        address = reasoning.addresses["reasoning"]
        planning_command += ["--reasoning-address", address]
        with service(planning_command, out / "planning.log") as planning:
            for one in (reasoning, planning):
                print(f"{one.name}: {one.addresses}", flush=True)
            wait_until_ready(options.bin_dir, address)
            wait_until_ready(options.bin_dir, planning.addresses["planning"])
            on_purpose = options.fault or options.chaos is not None
            if on_purpose:
                again = shlex.join([*reasoning_command, "--address", address])
                again = f"exec {again} 2>>{shlex.quote(str(out / 'reasoning.log'))}"
                if options.fault:
                    rest += ["--fault", options.fault]
                    rest += ["--fault-duration", str(options.fault_duration)]
                else:
                    rest += ["--chaos", str(options.chaos)]
                rest += ["--reasoning-pid", str(reasoning.process.pid)]
                rest += ["--reasoning-command", shlex.join(["sh", "-c", again])]
            status = drive({"planning": planning.addresses["planning"], "reasoning": address}, rest)
            lost = planning.died() or (not on_purpose and reasoning.died())
            return 1 if lost else status


def main() -> int:
    """Entry point."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options, rest = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.checkpoint is None:
        options.checkpoint = default_checkpoint()
    return (run_two_processes if options.two_processes else run_one_process)(options, rest)


if __name__ == "__main__":
    sys.exit(main())
