"""What the tree says of itself: files, their include lines, CMake targets. Standard library only."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_SKIPPED = {"build", "out", ".git", "_generated", "__pycache__", "node_modules"}
_CODE = (".h", ".cc", ".cu", ".cuh", ".py", ".sh", ".proto", ".cmake")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]', re.M)
_TARGET = re.compile(r"\bautomot_(library|program|test|fuzz)\(\s*([\w-]+)([^)]*)\)")
_KEYWORDS = ("SRCS", "DEPS", "NEEDS", "LABELS", "TIMEOUT", "WHOLE")


@dataclass
class Target:
    """One automot_library, automot_program, automot_test or automot_fuzz call."""

    name: str
    kind: str
    folder: str
    sources: list[str] = field(default_factory=list)
    deps: list[str] = field(default_factory=list)  # Of our own targets, without "automot::".
    needs: set[str] = field(default_factory=set)


def folder_of(path: str) -> str:
    """The folder of a path in the repository."""
    return str(PurePosixPath(path).parent)


def code_files(root: Path) -> list[str]:
    """Paths of all code files below root."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        found += [
            (Path(folder) / name).relative_to(root).as_posix()
            for name in files
            if name.endswith(_CODE)
        ]
    return sorted(found)


def includes_in(text: str) -> list[str]:
    """The paths that a C++ text includes."""
    return _INCLUDE.findall(text)


def include_lines(root: Path) -> dict[str, list[str]]:
    """Every C++ file with the paths it includes."""
    return {
        path: includes_in((root / path).read_text())
        for path in code_files(root)
        if path.endswith((".h", ".cc", ".cu", ".cuh"))
    }


def targets_in(text: str, folder: str) -> list[Target]:
    """The targets that a CMakeLists.txt declares."""
    found = []
    text = re.sub(r"#.*", "", text)
    for kind, name, rest in _TARGET.findall(text):
        target = Target(name, kind, folder)
        keyword = ""
        for word in rest.split():
            if word in _KEYWORDS:
                keyword = word
            elif keyword == "SRCS":
                target.sources.append(f"{folder}/{word}")
            elif keyword == "DEPS" and word.startswith("automot::"):
                target.deps.append(word.removeprefix("automot::"))
            elif keyword == "NEEDS":
                target.needs.add(word)
        found.append(target)
    return found


def cmake_targets(root: Path) -> list[Target]:
    """All targets of the tree."""
    found = []
    for top in ("proto", "common", "services", "client", "tools", "tests"):
        for path in sorted((root / top).rglob("CMakeLists.txt")):
            found += targets_in(path.read_text(), path.parent.relative_to(root).as_posix())
    return found
