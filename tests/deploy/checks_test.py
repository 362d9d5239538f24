"""The checks of tools/lint find what they forbid. That they pass on the tree is lint.* in ctest."""

from __future__ import annotations

import copy
import os
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

ROOT = Path(os.environ.get("AUTOMOT_SOURCE_DIR", Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(ROOT / "tools" / "lint"))

import compose  # noqa: E402
import function_sizes  # noqa: E402
import manifest_rules  # noqa: E402
import manifests  # noqa: E402
import pins  # noqa: E402


class ComposeTest(unittest.TestCase):
    """Each defect is put into the real file and found."""

    def setUp(self) -> None:
        self.document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

    def assert_found(self, text: str) -> None:
        found = compose.problems(self.document, ROOT)
        self.assertTrue(any(text in line for line in found), f"{text!r} is not in {found}")

    def test_the_file_as_it_is_passes(self) -> None:
        self.assertEqual(compose.problems(self.document, ROOT), [])

    def test_missing_hardening(self) -> None:
        planning = self.document["services"]["planning"]
        for key, text in (
            ("read_only", "read_only"),
            ("cap_drop", "cap_drop"),
            ("security_opt", "no-new-privileges"),
            ("deploy", "limits"),
        ):
            with self.subTest(key=key):
                value = planning.pop(key)
                self.assert_found(f"planning: misses {text}")
                planning[key] = value

    def test_open_address_without_insecure(self) -> None:
        self.document["services"]["reasoning"]["command"].remove("--insecure")
        self.assert_found("reasoning: misses --insecure")

    def test_port_on_all_interfaces(self) -> None:
        self.document["services"]["grafana"]["ports"] = ["3000:3000"]
        self.assert_found("grafana: misses ports on loopback only")

    def test_dangling_references(self) -> None:
        grafana = self.document["services"]["grafana"]
        grafana["networks"] = ["nowhere"]
        grafana["volumes"] = ["./no/such/folder:/x", "unknown:/y"]
        grafana["depends_on"] = {"nobody": {}}
        self.document["services"]["planning"]["build"]["target"] = "plannning"
        for text in ("nowhere", "no/such/folder", "unknown", "nobody", "no target plannning"):
            self.assert_found(text)


class ManifestRulesTest(unittest.TestCase):
    """Each rule is broken in a small rendered set."""

    def setUp(self) -> None:
        base = ROOT / "deploy" / "kubernetes" / "base"
        self.resources: list[dict[str, Any]] = copy.deepcopy(
            manifests.Kustomization(base).resources
        )
        for resource in self.resources:
            if resource["kind"] == "Deployment":
                self.container(resource)["image"] += ":0.1.0"

    def container(self, deployment: dict[str, Any]) -> dict[str, Any]:
        return deployment["spec"]["template"]["spec"]["containers"][0]

    def find(self, kind: str, name: str) -> dict[str, Any]:
        return next(
            r for r in self.resources if r["kind"] == kind and r["metadata"]["name"] == name
        )

    def assert_found(self, text: str) -> None:
        found = manifest_rules.rule_violations(self.resources)
        self.assertTrue(any(text in line for line in found), f"{text!r} is not in {found}")

    def test_the_base_passes(self) -> None:
        self.assertEqual(manifest_rules.rule_violations(self.resources), [])

    def test_broken_pods(self) -> None:
        planning = self.find("Deployment", "planning")
        pod = planning["spec"]["template"]["spec"]
        pod["terminationGracePeriodSeconds"] = 20
        pod["securityContext"].pop("runAsNonRoot")
        self.container(planning)["livenessProbe"]["grpc"]["service"] = ""
        self.container(planning)["securityContext"]["readOnlyRootFilesystem"] = False
        self.container(planning)["image"] = "automot-planning"
        for text in (
            "terminationGracePeriodSeconds",
            "runAsNonRoot",
            "liveness",
            "readOnlyRoot",
            "version",
        ):
            self.assert_found(text)

    def test_dangling_references(self) -> None:
        self.find("Service", "planning")["spec"]["selector"] = {"app.kubernetes.io/name": "x"}
        scaler = self.find("HorizontalPodAutoscaler", "reasoning")
        scaler["spec"]["scaleTargetRef"]["name"] = "y"
        self.assert_found("Service/planning selects no pod")
        self.assert_found("scales Deployment/y")

    def test_schema(self) -> None:
        planning = self.find("Deployment", "planning")
        planning["spec"]["replicaz"] = 3
        self.assertIn("replicaz", manifests.schema_violations(planning)[0])


class KustomizationTest(unittest.TestCase):
    """Lists, patches and orphans in a folder made for it."""

    def test_defects_are_found(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "kustomization.yaml").write_text(
                textwrap.dedent("""
                    kind: Kustomization
                    resources: [space.yaml, gone.yaml]
                    patches:
                      - path: patch.yaml
                      - {path: patch.yaml, target: {kind: Namespace, name: a|b}}
                    """)
            )
            (folder / "space.yaml").write_text(
                "{apiVersion: v1, kind: Namespace, metadata: {name: a}}"
            )
            (folder / "patch.yaml").write_text(
                "{apiVersion: v1, kind: Namespace, metadata: {name: c}}"
            )
            (folder / "orphan.yaml").write_text("{}")
            found = "\n".join(manifests.written_problems(folder))
        self.assertIn("lists gone.yaml, which does not exist", found)
        self.assertIn("patches {'kind': 'Namespace', 'name': 'c'}, which is not there", found)
        self.assertNotIn("a|b", found)
        self.assertIn("orphan.yaml is listed nowhere", found)


class OtherChecksTest(unittest.TestCase):
    """Sizes and pins."""

    def test_function_sizes(self) -> None:
        def functions(count: int, nloc: int, complexity: int) -> list[tuple[str, Any]]:
            one = SimpleNamespace(
                nloc=nloc, cyclomatic_complexity=complexity, start_line=1, long_name="F()"
            )
            return [("common/a.cc", one)] * count

        small = functions(98, 10, 3)
        self.assertEqual(function_sizes.violations(small + functions(1, 66, 16)), [])
        self.assertEqual(len(function_sizes.violations(small + functions(2, 66, 16))), 2)
        self.assertIn("81 lines", function_sizes.violations(small + functions(1, 81, 3))[0])

    def test_pins(self) -> None:
        found = pins.differences("# comment\nlizard==0.0.1\nno-such-package==1.0\n")
        self.assertEqual(len(found), 2)
        self.assertIn("no-such-package: absent, pinned 1.0", found)


if __name__ == "__main__":
    unittest.main()
