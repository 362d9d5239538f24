"""Dependency direction (types <- conversion, model <- services <- tools); who may see LibTorch and the wire.

Each function takes what sources.py read and returns one line for each violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch

from sources import Target, folder_of

# A top folder and those it may use beside itself. Tests may use everything, and nothing may use tests.
_MAY_USE = {
    "common": set(),
    "services": {"common"},
    "client": {"common"},
    "tools": {"common", "services", "client"},
    "tests": {"common", "services", "client", "tools"},
}
# Pairs of folders that never see each other.
_STRANGERS = [
    ("services/reasoning", "services/planning"),
    ("services/reasoning", "services/egodriver"),
    ("common/model", "common/conversion"),
    ("common/model", "common/rpc"),
]
# Folders that only programs wire in: everything else knows nothing of them.
_WIRED_IN = {
    "services/egodriver": ("services/egodriver/*", "services/serve/*", "*/main.cc", "tests/*")
}
# Another project's contract, and the one folder that speaks it.
_FOREIGN = {"egodriver/*.pb.h": ("services/egodriver/*", "tests/*")}
# Folders below which only the named project folders are used.
_ONLY = {"common/types": set(), "common/context": {"common/types", "common/status"}}

_PROGRAMS = "*/main.cc"

_TORCH = ("torch/*", "ATen/*", "c10/*")
_WIRE = ("*.pb.h", "grpc/*", "grpcpp/*", "google/protobuf/*")
_TORCH_FILES = ("common/model/*", "*/torch_*", "tests/*", "tools/*")
_PROTO_FILES = (
    "*/handlers/*",
    "*/lane/*",
    "*_server.cc",
    "*_server.h",
    "common/conversion/*",
    "common/rpc/*",
    "services/planning/recording/*",
    "services/reasoning/answer_stream.*",
    "services/reasoning/chaos_stream.*",
    "services/reasoning/snapshot_publisher.*",
    "services/reasoning/snapshot_wire.*",
    "client/*",
    "tests/*",
    "tools/*",
)
# Reach neither LibTorch nor the wire, even through what they include: they compile and are tested in seconds.
_PLAIN = (
    "common/types/*",
    "common/context/*",
    "common/control/*",
    "common/time/*",
    "services/planning/policy/*",
)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def _below(folder: str, root: str) -> bool:
    return folder == root or folder.startswith(root + "/")


def edge_violation(user: str, used: str) -> str | None:
    """Why folder `user` may not use folder `used`, or None."""
    top, other = user.split("/")[0], used.split("/")[0]
    if other not in _MAY_USE:
        return None  # Not ours.
    if other != top and other not in _MAY_USE.get(top, set()):
        return f"{top} may not use {other}"
    for first, second in _STRANGERS:
        pair = (first, second) if _below(user, first) else (second, first)
        if _below(user, pair[0]) and _below(used, pair[1]):
            return f"{first} and {second} never use each other"
    for root, allowed in _ONLY.items():
        if _below(user, root) and not _below(used, root) and used not in allowed:
            return f"{root} uses only {', '.join(sorted(allowed)) or 'itself'}"
    return None


def include_violations(includes: dict[str, list[str]]) -> list[str]:
    """Include lines against the direction, and LibTorch or the wire where they do not belong."""
    found = []
    for path, lines in includes.items():
        for line in lines:
            reason = edge_violation(folder_of(path), folder_of(line)) if "/" in line else None
            if reason is None and _matches(line, _TORCH) and not _matches(path, _TORCH_FILES):
                reason = "only torch_* and common/model include LibTorch"
            if reason is None and line.endswith(".pb.h") and not _matches(path, _PROTO_FILES):
                reason = "only the wire's files include generated protos"
            reason = reason or _outsider(path, line)
            if reason is not None:
                found.append(f"{path} includes {line}: {reason}")
    return found + _reach_violations(includes)


def _outsider(path: str, line: str) -> str | None:
    for folder, users in _WIRED_IN.items():
        if line.startswith(folder + "/") and not _matches(path, users):
            return f"only programs wire in {folder}"
    for pattern, users in _FOREIGN.items():
        if fnmatch(line, pattern) and not _matches(path, users):
            return f"{pattern} is another project's: only {users[0]} speaks it"
    return None


def _reach_violations(includes: dict[str, list[str]]) -> list[str]:
    heavy = {
        f"{path} -> {line}"
        for path in includes
        if _matches(path, _PLAIN)
        for line in reached(path, lambda user: includes.get(user, []))
        if _matches(line, _TORCH + _WIRE)
    }
    return [f"{edge}: must reach neither LibTorch nor the wire" for edge in sorted(heavy)]


def reached(start: str, uses: Callable[[str], Iterable[str]]) -> set[str]:
    """Everything that `start` uses, directly or not, without itself (unless it is in a cycle)."""
    seen: set[str] = set()
    waiting = list(uses(start))
    while waiting:
        item = waiting.pop()
        if item not in seen:
            seen.add(item)
            waiting += uses(item)
    return seen


def target_violations(targets: list[Target]) -> list[str]:
    """Targets linked against the direction, in a cycle, or unavailable where their users are not."""
    by_name = {target.name: target for target in targets}
    found = []
    for target in targets:
        below = reached(target.name, lambda name: by_name[name].deps if name in by_name else [])
        if target.name in below:
            found.append(f"{target.name} depends on itself")
        for name in target.deps:
            reason = name in by_name and edge_violation(target.folder, by_name[name].folder)
            if reason:
                found.append(f"{target.name} links {name}: {reason}")
        needed = {need for name in below if name in by_name for need in by_name[name].needs}
        needed |= {"grpc"} & ({"grpc"} if "proto" in below else set())
        for need in sorted(needed - target.needs):
            found.append(f"{target.name} links what needs {need}, and does not say NEEDS {need}")
    return found


def folder_cycles(includes: dict[str, list[str]]) -> list[str]:
    """Folders of the product that use each other in a circle; a folder and its own subfolders are one.

    A program's main.cc wires folders together and is used by none: it is no part of its folder here.
    """
    uses: dict[str, set[str]] = {}
    for path, lines in includes.items():
        user = _unit(folder_of(path))
        if not path.startswith("tests/") and not fnmatch(path, _PROGRAMS):
            uses.setdefault(user, set()).update(_unit(folder_of(x)) for x in lines if "/" in x)
    uses = {
        user: {used for used in all_used if used in uses and used != user}
        for user, all_used in uses.items()
    }
    return [
        f"{user} uses itself through others"
        for user in sorted(uses)
        if user in reached(user, lambda item: uses.get(item, set()))
    ]


def _unit(folder: str) -> str:
    return "/".join(folder.split("/")[:2])
