"""Holds the tree to its layout rules. Each rule is also shown a fabricated violation, which it must find."""

from __future__ import annotations

import os
import unittest
from pathlib import Path

import dependency_rules
import size_rules
import sources

ROOT = Path(os.environ.get("AUTOMOT_SOURCE_DIR", Path(__file__).resolve().parents[2]))


class TreeTest(unittest.TestCase):
    """The rules hold for the tree as it is."""

    def test_include_lines_follow_the_dependency_direction(self) -> None:
        includes = sources.include_lines(ROOT)
        self.assertGreater(len(includes), 200, "the tree was not found")
        self.assertEqual(dependency_rules.include_violations(includes), [])

    def test_folders_have_no_cycles(self) -> None:
        self.assertEqual(dependency_rules.folder_cycles(sources.include_lines(ROOT)), [])

    def test_targets_follow_the_dependency_direction(self) -> None:
        targets = sources.cmake_targets(ROOT)
        self.assertGreater(len(targets), 50, "the targets were not found")
        self.assertEqual(dependency_rules.target_violations(targets), [])

    def test_every_source_belongs_to_a_target(self) -> None:
        known = {path for target in sources.cmake_targets(ROOT) for path in target.sources}
        orphans = [
            path for path in sources.code_files(ROOT) if path.endswith(".cc") and path not in known
        ]
        self.assertEqual(orphans, [])

    def test_files_are_small_and_named(self) -> None:
        paths = sources.code_files(ROOT)
        lines = {path: (ROOT / path).read_text().count("\n") for path in paths}
        self.assertEqual(size_rules.size_violations(lines), [])
        self.assertEqual(size_rules.name_violations(paths), [])


class RulesTest(unittest.TestCase):
    """Each rule finds what it forbids, and lets pass what it does not."""

    def assert_include(self, user: str, used: str, allowed: bool) -> None:
        found = dependency_rules.include_violations({user: [used]})
        self.assertEqual(found == [], allowed, f"{user} includes {used}: {found}")

    def test_include_directions(self) -> None:
        for user, used, allowed in (
            ("common/types/a.h", "services/planning/b.h", False),
            ("common/types/a.h", "common/status/b.h", False),
            ("services/planning/a.h", "common/types/b.h", True),
            ("services/planning/lane/a.cc", "services/reasoning/b.h", False),
            ("services/reasoning/handlers/a.cc", "services/planning/policy/b.h", False),
            ("services/serve/a.cc", "services/reasoning/b.h", True),
            ("services/planning/a.cc", "tests/fakes/b.h", False),
            ("services/planning/a.cc", "client/b.h", False),
            ("client/a.cc", "services/planning/b.h", False),
            ("tests/unit/a.cc", "services/planning/b.h", True),
            ("common/model/a.h", "ATen/ATen.h", True),
            ("services/planning/planning_engine.cc", "torch/torch.h", False),
            ("services/planning/torch_action_expert.cc", "torch/torch.h", True),
            ("services/planning/planning_engine.cc", "automot/v1/a.pb.h", False),
            ("services/planning/handlers/a.cc", "automot/v1/a.pb.h", True),
            ("services/egodriver/a.cc", "services/planning/b.h", True),
            ("services/planning/planning_server.cc", "services/egodriver/b.h", False),
            ("services/planning/main.cc", "services/egodriver/b.h", True),
            ("services/reasoning/main.cc", "services/egodriver/b.h", False),
            ("client/a.cc", "services/egodriver/b.h", False),
            ("services/egodriver/handlers/a.cc", "egodriver/egodriver.pb.h", True),
            ("services/egodriver/rollout.cc", "egodriver/egodriver.pb.h", False),
            ("services/planning/handlers/a.cc", "egodriver/egodriver.pb.h", False),
        ):
            with self.subTest(user=user, used=used):
                self.assert_include(user, used, allowed)

    def test_plain_code_reaches_the_wire_through_nothing(self) -> None:
        includes = {
            "services/planning/policy/a.cc": ["common/time/b.h"],
            "common/time/b.h": ["grpcpp/grpcpp.h"],
        }
        found = dependency_rules.include_violations(includes)
        self.assertTrue(any("policy/a.cc" in line for line in found), found)

    def test_include_lines_are_read_as_the_compiler_does(self) -> None:
        text = '#include "a/b.h"\n  # include <c/d.h>\n// #include "no/no.h"\n'
        self.assertEqual(sources.includes_in(text), ["a/b.h", "c/d.h"])

    def test_folder_cycles(self) -> None:
        includes = {"common/a/x.h": ["common/b/y.h"], "common/b/y.h": ["common/a/x.h"]}
        self.assertEqual(len(dependency_rules.folder_cycles(includes)), 2)
        wired = {"common/a/main.cc": ["common/b/y.h"], "common/b/y.h": ["common/a/x.h"]}
        self.assertEqual(dependency_rules.folder_cycles(wired), [])

    def test_target_directions(self) -> None:
        text = """
        automot_library(types SRCS a.cc DEPS automot::planning absl::time)  # comment
        automot_library(model SRCS b.cc NEEDS torch)
        automot_library(user SRCS c.cc DEPS automot::model)
        automot_library(one DEPS automot::two)
        automot_library(two DEPS automot::one)
        """
        targets = sources.targets_in(text, "common/types")
        targets += sources.targets_in("automot_library(planning SRCS p.cc)", "services/planning")
        found = "\n".join(dependency_rules.target_violations(targets))
        self.assertIn("types links planning: common may not use services", found)
        self.assertIn("user links what needs torch, and does not say NEEDS torch", found)
        self.assertIn("one depends on itself", found)

    def test_sizes_and_names(self) -> None:
        self.assertEqual(
            len(size_rules.size_violations({"a.cc": 601, **{f"{i}.h": 9 for i in range(99)}})), 1
        )
        self.assertEqual(len(size_rules.size_violations({f"{i}.h": 351 for i in range(9)})), 1)
        for path, allowed in (
            ("common/utils/a.h", False),
            ("common/a/string_util.cc", False),
            ("common/utility_function/a.h", True),
        ):
            self.assertEqual(size_rules.name_violations([path]) == [], allowed, path)


if __name__ == "__main__":
    unittest.main()
