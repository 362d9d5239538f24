"""Size limits of files, and names that say nothing."""

from __future__ import annotations

from pathlib import PurePosixPath

MOST_LINES, MOST_LINES_P90 = 600, 350
_EMPTY_NAMES = {"util", "utils", "misc", "helper", "helpers", "stuff", "shared_code"}


def size_violations(lines: dict[str, int]) -> list[str]:
    """`lines` has every file's length."""
    found = [
        f"{path} has {count} lines, limit {MOST_LINES}"
        for path, count in lines.items()
        if count > MOST_LINES
    ]
    ordered = sorted(lines.values())
    p90 = ordered[int(len(ordered) * 0.9)] if ordered else 0
    if p90 > MOST_LINES_P90:
        found.append(f"90th percentile of files has {p90} lines, limit {MOST_LINES_P90}")
    return found


def name_violations(paths: list[str]) -> list[str]:
    """Folders, files and parts of them called utils and the like."""
    return [
        f"{path}: {part} says nothing of what is in it"
        for path in paths
        for part in PurePosixPath(path).parts
        if _EMPTY_NAMES & set(PurePosixPath(part).stem.lower().replace("-", "_").split("_"))
    ]
