"""Checks a compose file where no container engine is at hand. Usage: compose.py FILE

Known keys, references that resolve (networks, volumes, dependencies, mounted files, build targets), and the
hardening that every service must have. A machine with the compose plugin also runs `docker compose config`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

_TOP = {"name", "services", "networks", "volumes"}
_SERVICE = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "deploy",
    "environment",
    "healthcheck",
    "image",
    "networks",
    "pids_limit",
    "ports",
    "profiles",
    "read_only",
    "restart",
    "security_opt",
    "stop_grace_period",
    "tmpfs",
    "volumes",
}

# Targets that run to their end: nothing asks how they are.
_CLIENTS = {"demo-client", "loadgen"}


def problems(document: dict[str, Any], root: Path) -> list[str]:
    """One line for each defect of the compose document; root is the folder of its file."""
    found = [f"unknown key {key}" for key in _unknown(document, _TOP)]
    for name, service in document["services"].items():
        found += [f"{name}: {text}" for text in _service_problems(service, document, root)]
    return found


def _unknown(mapping: dict[str, Any], known: set[str]) -> list[str]:
    return sorted(key for key in mapping if key not in known and not key.startswith("x-"))


def _service_problems(service: dict[str, Any], document: dict[str, Any], root: Path) -> list[str]:
    found = [f"unknown key {key}" for key in _unknown(service, _SERVICE)]
    found += _reference_problems(service, document, root)
    found += _hardening_problems(service)
    if "build" in service:
        found += _build_problems(service["build"], root)
    elif "healthcheck" not in service:
        found.append("no healthcheck")  # Our images bring theirs; _build_problems looks.
    return found


def _reference_problems(service: dict[str, Any], document: dict[str, Any], root: Path) -> list[str]:
    found = []
    for network in service.get("networks", []):
        if network not in document.get("networks", {}):
            found.append(f"network {network} is not declared")
    for other in service.get("depends_on", {}):
        if other not in document["services"]:
            found.append(f"depends on {other}, which is no service")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            if not (root / source).exists():
                found.append(f"mounts {source}, which does not exist")
        elif source not in document.get("volumes", {}):
            found.append(f"volume {source} is not declared")
    return found


def _hardening_problems(service: dict[str, Any]) -> list[str]:
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    wanted = {
        "read_only: true": service.get("read_only") is True,
        "cap_drop: [ALL]": service.get("cap_drop") == ["ALL"],
        "no-new-privileges": "no-new-privileges:true" in service.get("security_opt", []),
        "limits of cpus and memory": {"cpus", "memory"} <= set(limits),
        "a version of its image": re.search(r":[\w.-]+$", service.get("image", ""))
        and not service["image"].endswith(":latest"),
        "ports on loopback only": all(
            str(port).startswith("127.0.0.1:") for port in service.get("ports", [])
        ),
    }
    wanted["--insecure beside open addresses"] = not any(
        "0.0.0.0" in word for word in service.get("command", [])
    ) or "--insecure" in service.get("command", [])
    return [f"misses {what}" for what, holds in wanted.items() if not holds]


def _build_problems(build: dict[str, Any], root: Path) -> list[str]:
    dockerfile = root / build["context"] / build["dockerfile"]
    stages = re.split(r"(?m)^FROM ", dockerfile.read_text())
    stage = next((s for s in stages if re.match(rf"\S+ AS {build['target']}\n", s)), None)
    if stage is None:
        return [f"{build['dockerfile']} has no target {build['target']}"]
    found = []
    if not re.search(r'(?m)^ENTRYPOINT \["', stage):
        found.append(f"target {build['target']} has no ENTRYPOINT in exec form")
    if build["target"] not in _CLIENTS and "HEALTHCHECK" not in stage:
        found.append(f"target {build['target']} has no HEALTHCHECK")
    return found


if __name__ == "__main__":
    path = Path(sys.argv[1])
    defects = problems(yaml.safe_load(path.read_text()), path.resolve().parent)
    print("\n".join(defects))
    sys.exit(1 if defects else 0)
