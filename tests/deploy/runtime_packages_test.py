"""The runtime image (tools/requirements/debian-runtime.txt) has every library that the programs load."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get("AUTOMOT_SOURCE_DIR", Path(__file__).resolve().parents[2]))
BIN_DIR = Path(os.environ.get("AUTOMOT_BIN_DIR", ROOT / "build/release/bin"))
# Benchmarks are no part of an image.
PROGRAMS = sorted(set(BIN_DIR.glob("automot-*")) - set(BIN_DIR.glob("automot-bench-*")))


def run(*command: str) -> str:
    """What a command prints; empty where it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def closure(packages: list[str]) -> set[str]:
    """The installed packages among `packages` and all that they depend on."""
    seen: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        depends = run("dpkg-query", "-W", "-f=${Pre-Depends}, ${Depends}", name)
        waiting += re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", depends)
    return seen


def owner(library: str) -> str | None:
    """The package that a library belongs to; None for those of the LibTorch wheel."""
    for path in (library, os.path.realpath(library)):
        if match := re.match(r"([a-z0-9+.-]+)(:\w+)?: ", run("dpkg-query", "-S", path)):
            return match[1]
    return None


def main() -> int:
    """0: all there, 1: some missing, 77: nothing to look at."""
    if not PROGRAMS or not shutil.which("dpkg-query"):
        print("skipped: needs built programs and Debian's dpkg-query")
        return 77
    listed = [
        line
        for line in (ROOT / "tools/requirements/debian-runtime.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    provided = closure(listed)
    status = 0
    for program in PROGRAMS:
        for library in re.findall(r"=> (/\S+)", run("ldd", str(program))):
            package = owner(library)
            if package is not None and package not in provided:
                print(f"{program.name} loads {library} of {package}, which the image does not have")
                status = 1
    print(f"{len(PROGRAMS)} programs, {len(provided)} packages")
    return status


if __name__ == "__main__":
    sys.exit(main())
