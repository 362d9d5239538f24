"""The statistics and the table of tests/benchmark/peers."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark" / "peers"))

from summary import FAIL, PASS, UNRESOLVED, judge, median, median_interval, percentile, table


def test_percentiles_are_values_that_were_seen():
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert percentile(values, 0.5) == 3.0
    assert percentile(values, 0.99) == 5.0
    assert percentile(values, 0.0) == 1.0
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_the_median_of_an_even_number_lies_between_the_two():
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5


def test_an_interval_needs_six_rounds_and_then_drops_outliers():
    assert median_interval([1.0] * 5) == (-math.inf, math.inf)
    assert median_interval([6.0, 1.0, 2.0, 3.0, 4.0, 5.0]) == (1.0, 6.0)
    assert median_interval([float(i) for i in range(1, 10)]) == (2.0, 8.0)


@pytest.mark.parametrize(
    ("ratios", "outcome"),
    [([2.1] * 7, PASS), ([1.9] * 7, FAIL), ([1.9] * 3 + [2.1] * 4, UNRESOLVED)],
)
def test_a_target_is_settled_only_where_the_interval_lies_on_one_side(ratios, outcome):
    assert judge("a", 2.0, ratios).outcome == outcome


def test_too_few_rounds_settle_nothing():
    assert judge("a", 2.0, [9.0] * 5).outcome == UNRESOLVED


@pytest.mark.parametrize("control", [[1.2] * 7, [1 / 1.2] * 7])
def test_a_biased_control_widens_the_interval_either_way(control):
    assert judge("a", 2.0, [2.1] * 7, [1.0] * 7).outcome == PASS
    verdict = judge("a", 2.0, [2.1] * 7, control)
    assert verdict.bias == pytest.approx(1.2)
    assert verdict.outcome == UNRESOLVED


def test_the_table_is_markdown_with_columns_in_line():
    lines = table(["what", "ms"], [["a", "1.25"], ["longer", "10"]]).splitlines()
    assert lines[0] == "| what   |   ms |"
    assert lines[1] == "| ------ | ---: |"
    assert lines[3] == "| longer |   10 |"
    assert len({len(line) for line in lines}) == 1
