"""What a driven route is worth, intervals, and comparison of runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from automot_client.bridge.world import EpisodeEnd
from automot_client.evaluation.comfort import comfort
from automot_client.evaluation.compare import compare
from automot_client.evaluation.results import summarise
from automot_client.evaluation.scoring import RouteResult, infractions_of
from automot_client.evaluation.statistics import (
    bootstrap_mean,
    bootstrap_ratio,
    sign_test,
    wilson_interval,
)

SETTINGS = {"density": 0.1, "accidents": 0.0}


def route(seed: int, end: EpisodeEnd, completion: float, **changes: object) -> RouteResult:
    values: dict = {
        "seed": seed,
        "outcome": end.value,
        "route_completion": completion,
        "route_length_m": 500.0,
        "driven_m": 500.0 * completion,
        "seconds": 60.0,
        "infractions": infractions_of(end),
    }
    return RouteResult(**(values | changes))


@pytest.mark.parametrize(
    ("end", "completion", "score"),
    [
        (EpisodeEnd.ARRIVED, 1.0, 1.0),
        (EpisodeEnd.CRASH_VEHICLE, 0.5, 0.30),
        (EpisodeEnd.CRASH_OBJECT, 0.4, 0.26),
        (EpisodeEnd.OFF_ROAD_YELLOW_LINE, 0.7, 0.7),
        (EpisodeEnd.STANDING, 0.2, 0.2),
    ],
)
def test_score_is_completion_times_the_leaderboards_penalty(end, completion, score):
    found = route(1, end, completion)
    assert found.driving_score == pytest.approx(score)
    assert found.success == (end is EpisodeEnd.ARRIVED)


def test_every_end_but_arriving_is_an_infraction_of_one_kind():
    for end in EpisodeEnd:
        assert len(infractions_of(end)) == (0 if end is EpisodeEnd.ARRIVED else 1), end


def test_result_survives_its_file():
    found = route(60_001, EpisodeEnd.CRASH_VEHICLE, 0.5, plans={"ticks": 3})
    assert RouteResult.from_json(found.to_json()) == found
    assert found.to_json()["driving_score"] == pytest.approx(0.3)


def test_results_have_the_agreed_keys_and_count_per_kilometre():
    routes = [
        route(1, EpisodeEnd.ARRIVED, 1.0),
        route(2, EpisodeEnd.CRASH_VEHICLE, 0.5),
        route(3, EpisodeEnd.CRASH_OBJECT, 0.25),
        route(4, EpisodeEnd.OFF_ROAD_SIDEWALK, 0.25),
    ]
    found = summarise(routes, SETTINGS)
    assert found["success_rate"] == 0.25
    assert found["route_completion"] == pytest.approx(0.5)
    assert found["driving_score"] == pytest.approx((1 + 0.3 + 0.1625 + 0.25) / 4, abs=1e-4)
    assert found["driven_km"] == pytest.approx(1.0)
    assert found["collisions_per_km"] == pytest.approx(2.0)
    assert found["infractions_per_km"]["off_road"] == pytest.approx(1.0)
    assert "timeout" not in found["infractions_per_km"]
    low, high = found["route_completion_interval"]
    assert 0.25 <= low < 0.5 < high <= 1.0


def test_without_a_route_there_is_nothing_to_sum_up():
    with pytest.raises(ValueError, match="no route"):
        summarise([], SETTINGS)


def test_intervals_hold_the_figure_and_shrink_with_more_routes():
    low, high = wilson_interval(12, 20)
    assert (low, high) == pytest.approx((0.387, 0.781), abs=1e-3)
    assert bootstrap_mean([1.0] * 10) == (1.0, 1.0)
    few, many = (bootstrap_mean([0.0, 1.0] * n) for n in (5, 50))
    assert few[1] - few[0] > 2 * (many[1] - many[0])
    assert bootstrap_ratio([2, 0, 0], [2.0, 0.0, 0.0]) == (1.0, 1.0), "of one route alone"
    assert bootstrap_ratio([0], [0.0]) == (0.0, 0.0)
    low, high = bootstrap_ratio([1, 0, 2, 0], [1.0, 1.0, 2.0, 1.0])
    assert low < 0.6 < high


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(0, 0, 1.0), (1, 1, 1.0), (5, 0, 0.0625), (8, 2, 0.109375)]
)
def test_sign_test_is_exact_and_two_sided(wins, losses, p):
    assert sign_test(wins, losses) == pytest.approx(p)
    assert sign_test(losses, wins) == pytest.approx(p)


def run_of(ends: dict[int, EpisodeEnd], settings: dict | None = None) -> dict:
    routes = [
        route(seed, end, 1.0 if end is EpisodeEnd.ARRIVED else 0.5) for seed, end in ends.items()
    ]
    return summarise(routes, settings or SETTINGS)


def test_runs_are_compared_on_common_seeds_alone():
    arrived, crashed = EpisodeEnd.ARRIVED, EpisodeEnd.CRASH_VEHICLE
    better = run_of({**dict.fromkeys(range(10), arrived), 99: crashed})
    worse = run_of({**dict.fromkeys(range(4), arrived), **dict.fromkeys(range(4, 10), crashed)})
    found = compare(better, worse)
    assert found["pairs"] == 10
    assert found["success"]["difference"] == pytest.approx(0.6)
    assert (found["success"]["a_higher"], found["success"]["b_higher"]) == (6, 0)
    assert found["success"]["p_value"] == pytest.approx(2 * 0.5**6)
    low, high = found["success"]["difference_interval"]
    assert 0.0 < low < 0.6 < high < 1.0
    assert found["collisions"]["difference"] == pytest.approx(-0.6)


def test_runs_of_other_traffic_or_other_seeds_are_not_compared():
    one = run_of({1: EpisodeEnd.ARRIVED})
    with pytest.raises(ValueError, match="density differs"):
        compare(one, run_of({1: EpisodeEnd.ARRIVED}, SETTINGS | {"density": 0.0}))
    with pytest.raises(ValueError, match="no seed"):
        compare(one, run_of({2: EpisodeEnd.ARRIVED}))


def test_comfort_finds_a_hard_brake_and_ignores_a_steady_drive():
    steady = comfort([8.0] * 60, [0.0] * 60, 0.05)
    assert set(steady.values()) == {0.0}
    braking = comfort([8.0] * 30 + list(np.maximum(0, 8 - 0.4 * np.arange(30))), [0.0] * 60, 0.05)
    assert braking["max_acceleration_mps2"] == pytest.approx(8.0, abs=0.01)
    assert braking["max_jerk_mps3"] > 10.0
    turning = comfort([5.0] * 40, [0.4] * 40, 0.05)
    assert turning["max_lateral_acceleration_mps2"] == pytest.approx(2.0)
    assert turning["max_acceleration_mps2"] == 0.0


def test_comfort_of_a_very_short_drive_is_known():
    assert comfort([1.0, 2.0], [0.0, 0.0], 0.05)["max_acceleration_mps2"] >= 0.0
    assert dataclasses.asdict(route(1, EpisodeEnd.ARRIVED, 1.0))["comfort"] == {}
