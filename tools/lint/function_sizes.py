"""Holds C++ functions to the size limits of CONTRIBUTING.md. Usage: function_sizes.py FILE...

Lines are code lines without blanks and comments; complexity is McCabe's. Percentiles are taken over the
product's functions: tests list cases, which is no complexity.
"""

from __future__ import annotations

import sys
from typing import Any

import lizard

MOST_LINES, MOST_LINES_P99, MOST_COMPLEXITY_P99 = 80, 65, 15


def percentile(values: list[int], share: float) -> int:
    """The smallest value that at least `share` of the values do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered)) - 1)] if ordered else 0


def violations(functions: list[tuple[str, Any]]) -> list[str]:
    """One line for each broken limit; `functions` are pairs of path and lizard's measurement."""
    found = [
        f"{path}:{f.start_line}: {f.long_name} has {f.nloc} lines, limit {MOST_LINES}"
        for path, f in functions
        if f.nloc > MOST_LINES
    ]
    product = [f for path, f in functions if not path.startswith("tests/")]
    for what, attribute, limit in (
        ("lines", "nloc", MOST_LINES_P99),
        ("complexity", "cyclomatic_complexity", MOST_COMPLEXITY_P99),
    ):
        value = percentile([getattr(f, attribute) for f in product], 0.99)
        if value > limit:
            found.append(f"99th percentile of functions' {what}: {value}, limit {limit}")
    return found


def measure(paths: list[str]) -> list[tuple[str, Any]]:
    """Every function of the files with lizard's measurement of it."""
    return [(path, f) for path in paths for f in lizard.analyze_file(path).function_list]


if __name__ == "__main__":
    problems = violations(measure(sys.argv[1:]))
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
