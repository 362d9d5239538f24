"""Flags in compose file and manifests are flags of the programs that get them."""

from __future__ import annotations

import os
import re
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(os.environ.get("AUTOMOT_SOURCE_DIR", Path(__file__).resolve().parents[2]))
# Where each image's program declares its flags.
_SHARED = ["common/runtime/program_flags.cc"]
_PLANNING = ["services/planning/planning_flags.cc"]
_REASONING = ["services/reasoning/reasoning_flags.cc"]
_SOURCES = {
    "automot-planning": _SHARED + _PLANNING,
    "automot-reasoning": _SHARED + _REASONING,
    "automot-serve": [*_SHARED, *_PLANNING, *_REASONING, "services/serve/serve_flags.cc"],
    "automot-loadgen": ["tools/loadgen/loadgen_flags.cc"],
    "automot-demo-client": [
        "client/python/automot_client/drive.py",
        "client/python/automot_client/load.py",
    ],
}


def declared(image: str) -> set[str]:
    """Flags in the sources of an image's program."""
    texts = [(ROOT / path).read_text() for path in _SOURCES[image]]
    return {flag for text in texts for flag in re.findall(r'"(--[a-z-]+)"', text)}


def given() -> Iterator[tuple[str, str, str]]:
    """File, image and flag of every flag that a file gives to one of our images."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for service in compose["services"].values():
        yield from _flags("docker-compose.yml", service["image"], service.get("command", []))
    for path in sorted((ROOT / "deploy" / "kubernetes").rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            for container in _containers(document):
                yield from _flags(path.name, container["image"], container.get("args", []))


def added_by_patches() -> Iterator[tuple[str, str]]:
    """File and flag of every flag that a JSON patch adds."""
    for path in sorted((ROOT / "deploy" / "kubernetes").rglob("*.yaml")):
        for flag in re.findall(r"(--[a-z][a-z-]+)", re.sub(r"#.*", "", path.read_text())):
            yield path.name, flag


def _containers(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, dict):
        return []
    template = document.get("spec", {}).get("template", {})
    return template.get("spec", {}).get("containers", [])


def _flags(file: str, image: str, words: list[str]) -> Iterator[tuple[str, str, str]]:
    name = image.split(":")[0]
    if name in _SOURCES:
        yield from ((file, name, word.split("=")[0]) for word in words if word.startswith("--"))


class FlagsTest(unittest.TestCase):
    """Everything that is given is declared."""

    def test_given_flags_are_declared(self) -> None:
        flags = list(given())
        self.assertGreater(len(flags), 30)
        wrong = [entry for entry in flags if entry[2] not in declared(entry[1])]
        self.assertEqual(wrong, [])

    def test_patched_flags_are_declared(self) -> None:
        known = {flag for image in _SOURCES for flag in declared(image)}
        self.assertEqual([entry for entry in added_by_patches() if entry[1] not in known], [])

    def test_an_unknown_flag_is_not_declared(self) -> None:
        self.assertIn("--address", declared("automot-planning"))
        self.assertNotIn("--adress", declared("automot-planning"))
        self.assertNotIn("--planner-core", declared("automot-reasoning"))


if __name__ == "__main__":
    unittest.main()
