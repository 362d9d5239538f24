"""A checkpoint that is served as long as something drives it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def served(bin_dir: Path, checkpoint: Path, out: Path, flags: Sequence[str] = ()) -> Iterator[str]:
    """Runs automot-serve on free ports as long as the block, its log in `out`; its planning address.

    RuntimeError names the log where it does not start.
    """
    command = [str(bin_dir / "automot-serve"), "--checkpoint", str(checkpoint)]
    for name in ("planning", "reasoning", "metrics"):
        command += [f"--{name}-address", "127.0.0.1:0"]
    log = out / "serve.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, *flags], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError(f"automot-serve did not start; see {log}")
        yield json.loads(line)["planning"]
    finally:
        stop(process, 60.0)


def stop(process: subprocess.Popen[str], patience_s: float) -> None:
    """Asks a server to end, and kills one that is still there after `patience_s`."""
    process.terminate()
    try:
        process.wait(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
