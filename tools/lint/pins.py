"""Compares the installed linters with their pins. Usage: pins.py REQUIREMENTS"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path


def differences(requirements: str) -> list[str]:
    """One line for each pinned package that is missing or has another version."""
    found = []
    for name, wanted in re.findall(r"^([\w.-]+)==(\S+)", requirements, flags=re.M):
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "absent"
        if installed != wanted:
            found.append(f"{name}: {installed}, pinned {wanted}")
    return found


if __name__ == "__main__":
    problems = differences(Path(sys.argv[1]).read_text())
    if problems:
        print("\n".join(problems), "run tools/dev.sh lint, which installs the pins", sep="\n")
        sys.exit(1)
