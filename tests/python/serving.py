"""Starts automot-serve from the build for tests, on free ports, with a small random checkpoint."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

START_LIMIT_S = 120.0


def missing_program() -> str | None:
    """What is missing to start the service, else None."""
    folder = os.environ.get("AUTOMOT_BIN_DIR")
    if not folder:
        return "AUTOMOT_BIN_DIR is not set"
    for name in ("automot-serve", "automot-make-checkpoint"):
        if not (Path(folder) / name).exists():
            return f"{name} is not built"
    return None


@contextlib.contextmanager
def running_service(folder: Path, checkpoint: Path | None = None) -> Iterator[dict[str, str]]:
    """Runs automot-serve; yields the addresses of its first line; ends it with SIGTERM and wants status 0.

    checkpoint: None makes a small random one.
    """
    programs = Path(os.environ["AUTOMOT_BIN_DIR"])
    log = folder / "serve.log"
    if checkpoint is None:
        checkpoint = folder / "nano"
        maker = [programs / "automot-make-checkpoint", "--preset", "nano", "--out", checkpoint]
        subprocess.run(maker, check=True, timeout=START_LIMIT_S, stdout=subprocess.DEVNULL)
    command = [programs / "automot-serve", "--checkpoint", checkpoint]
    for name in ("planning", "reasoning", "metrics"):
        command += [f"--{name}-address", "127.0.0.1:0"]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"automot-serve did not start:\n{log.read_text()[-4000:]}"
            yield json.loads(line)
        finally:
            process.terminate()
            status = process.wait(timeout=60)
    assert status == 0, f"automot-serve ended with status {status}:\n{log.read_text()[-4000:]}"
