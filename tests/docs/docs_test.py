"""Compares what the documents say with the tree: links, named tests, flags, quoted code, records."""

from __future__ import annotations

import os
import re
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("AUTOMOT_SOURCE_DIR", Path(__file__).resolve().parents[2]))
SKIPPED = {"build", "out", ".git", "node_modules"}
FROM_A_RUN = {ROOT / "docs/images/demo.png"}  # taken from a run of the demo


def documents() -> list[Path]:
    """Every Markdown file of the tree."""
    paths = (path for path in ROOT.rglob("*.md"))
    return sorted(p for p in paths if not SKIPPED & set(p.relative_to(ROOT).parts))


def text(path: str) -> str:
    """A file of the tree."""
    return (ROOT / path).read_text(encoding="utf-8")


def without_code(markdown: str) -> str:
    """Markdown without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)


def named_tests() -> set[str]:
    """Suite.Name of every GoogleTest test in the tree."""
    names = set()
    for path in (ROOT / "tests").rglob("*_test.cc"):
        source = path.read_text(encoding="utf-8")
        for suite, name in re.findall(
            r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", source, re.MULTILINE
        ):
            names.add(f"{suite}.{name}")
    return names


def cited_tests(markdown: str) -> set[str]:
    """Tests that a document cites: `Suite.Name`, or `.Name` after one of the same suite."""
    cited, suite = set(), ""
    for before, name in re.findall(r"`(\w*)\.([A-Z]\w+)`", markdown):
        suite = before or suite
        cited.add(f"{suite}.{name}")
    return cited


def flags_of_sources() -> set[str]:
    """Flags that the service programs take."""
    sources = [*ROOT.glob("services/**/*_flags.cc"), *ROOT.glob("common/runtime/*flags.cc")]
    found = set()
    for source in sources:
        found.update(
            re.findall(
                r'^\s*(?:app\.\w+\(|AddSeconds\(app,)?\s*"(--[a-z][a-z-]+)"',
                source.read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
    return found


class DocumentsTest(unittest.TestCase):
    """One method for each kind of statement."""

    def test_relative_links_lead_somewhere(self) -> None:
        missing = []
        for document in documents():
            for link in re.findall(
                r"\]\(([^)#\s]+)(?:#[^)]*)?\)", without_code(document.read_text(encoding="utf-8"))
            ):
                target = (document.parent / link).resolve()
                if "://" not in link and target not in FROM_A_RUN and not target.exists():
                    missing.append(f"{document.relative_to(ROOT)}: {link}")
        self.assertEqual(missing, [])

    def test_cited_tests_exist(self) -> None:
        known = named_tests()
        for document in ("docs/context-path.md", "docs/architecture.md", "docs/operations.md"):
            cited = {test for test in cited_tests(text(document)) if test[0].isupper()}
            self.assertEqual(sorted(cited - known), [], document)
        self.assertGreater(len(cited_tests(text("docs/context-path.md"))), 40)

    def test_flags_are_documented_and_exist(self) -> None:
        rows = [
            line.split("|")[1]
            for line in text("docs/operations.md").splitlines()
            if line.startswith("| `--")
        ]
        documented = set(re.findall(r"`(--[a-z-]+)`", " ".join(rows)))
        self.assertEqual(documented, flags_of_sources())

    def test_readme_quotes_the_example(self) -> None:
        example = (
            text("client/examples/plan_once.cc")
            .split("// [readme-begin]\n")[1]
            .split("// [readme-end]")[0]
        )
        self.assertIn(f"```cpp\n{example.strip()}\n```", text("README.md"))

    def test_decision_records_have_numbers_of_their_own_and_are_short(self) -> None:
        records = sorted((ROOT / "docs/decisions").glob("*.md"))
        numbers = [int(r.name[:4]) for r in records]
        self.assertEqual(numbers, sorted(set(numbers)))
        for record in records:
            self.assertLess(len(record.read_text(encoding="utf-8").splitlines()), 60, record.name)

    def test_glossary_names_places_that_exist(self) -> None:
        missing = [
            place
            for place in re.findall(r"`((?:\w+/)+[\w.-]+)`", text("docs/glossary.md"))
            if not (ROOT / place).exists()
        ]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
