"""Checks the Kubernetes manifests below a folder. Usage: manifests.py [--rendered] FOLDER

As written: kustomizations list files that exist and all files beside them, patches name resources that
exist, and every resource fits Kubernetes' schema. With --rendered: what `kubectl kustomize` makes of each
kustomization fits the schema and manifest_rules.py; exit status 77 where there is no kubectl.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from manifest_rules import rule_violations

_LISTS = ("resources", "components")
_KUBERNETES = "1.32"


def documents(path: Path) -> list[dict[str, Any]]:
    """All documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def label(resource: dict[str, Any]) -> str:
    """Kind and name, for messages."""
    return f"{resource.get('kind')}/{resource.get('metadata', {}).get('name')}"


def schema_violations(resource: dict[str, Any]) -> list[str]:
    """Where a resource does not fit Kubernetes' schema, unknown fields included."""
    try:
        kubernetes_validate.validate(resource, _KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(part) for part in error.path)
        return [f"{label(resource)}: {where}: {error.message}"]
    return []


class Kustomization:
    """One kustomization.yaml with everything that it lists."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self.content = documents(folder / "kustomization.yaml")[0]
        self.is_component = self.content["kind"] == "Component"
        self._listed = {"kustomization.yaml"}
        self.resources = self._load_resources()
        self._check_patches()
        for path in sorted(folder.glob("*.yaml")):
            if path.name not in self._listed:
                self.problems.append(f"{path} is listed nowhere")

    def _load_resources(self) -> list[dict[str, Any]]:
        resources = []
        for entry in (entry for name in _LISTS for entry in self.content.get(name, [])):
            path = self.folder / entry
            if path.is_dir():
                resources += Kustomization(path).resources
            elif path.is_file():
                self._listed.add(entry)
                own = documents(path)
                self.problems += [text for resource in own for text in schema_violations(resource)]
                resources += own
            else:
                self.problems.append(f"{self.folder} lists {entry}, which does not exist")
        return resources

    def _check_patches(self) -> None:
        for patch in self.content.get("patches", []):
            path = self.folder / patch["path"]
            self._listed.add(patch["path"])
            if not path.is_file():
                self.problems.append(f"{self.folder} lists {patch['path']}, which does not exist")
            elif not self.is_component:  # A component's targets are its users'.
                self.problems += self._missing_targets(path, patch.get("target"))

    def _missing_targets(self, path: Path, target: dict[str, str] | None) -> list[str]:
        wanted = (
            [target]
            if target
            else [
                {"kind": document["kind"], "name": document["metadata"]["name"]}
                for document in documents(path)
            ]
        )
        return [
            f"{path} patches {want}, which is not there" for want in wanted if not self._has(want)
        ]

    def _has(self, want: dict[str, str]) -> bool:
        return any(
            re.fullmatch(want.get("kind", ".*"), resource["kind"])
            and re.fullmatch(want.get("name", ".*"), resource["metadata"]["name"])
            for resource in self.resources
        )


def written_problems(folder: Path) -> list[str]:
    """Defects of the files as they are written."""
    found = []
    for path in sorted(folder.rglob("kustomization.yaml")):
        found += Kustomization(path.parent).problems
    return found


def rendered_problems(folder: Path, kubectl: str) -> list[str]:
    """Defects of what kustomize makes of them."""
    found = []
    for path in sorted(folder.rglob("kustomization.yaml")):
        if Kustomization(path.parent).is_component:
            continue
        command = [kubectl, "kustomize", str(path.parent)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            found.append(f"{path.parent}: {result.stderr.strip()}")
            continue
        resources = [document for document in yaml.safe_load_all(result.stdout) if document]
        texts = [text for resource in resources for text in schema_violations(resource)]
        found += [f"{path.parent}: {text}" for text in texts + rule_violations(resources)]
    return found


def main(arguments: list[str]) -> int:
    """Entry point."""
    folder = Path(arguments[-1])
    if arguments[0] == "--rendered":
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            print("no kubectl on PATH to render the overlays with")
            return 77
        problems = rendered_problems(folder, kubectl)
    else:
        problems = written_problems(folder)
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
