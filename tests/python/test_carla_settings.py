"""The CARLA agent's configuration file: what it may hold, and what is said about what it may not."""

from __future__ import annotations

import json

import pytest

from automot_client.carla_agent.settings import (
    AgentSettings,
    SettingsError,
    load_settings,
    split_config_argument,
)


def write(tmp_path, values: object, name: str = "agent.json") -> str:
    file = tmp_path / name
    file.write_text(values if isinstance(values, str) else json.dumps(values))
    return str(file)


def test_no_file_means_the_defaults():
    settings = load_settings("")
    assert settings == AgentSettings()
    options = settings.session_options()
    assert (options.time_mode, options.run_controller) == ("stepped", True)
    options.to_proto()


def test_every_key_of_a_file_is_taken(tmp_path):
    path = write(
        tmp_path,
        {
            "planning_address": "unix:/tmp/plan.sock",
            "time_mode": "lockstep",
            "lockstep_ticks": 3,
            "reasoning_rate_hz": 2,
            "geo_reference": [42, 2.5],
            "give_up_after_ticks": 0,
        },
    )
    settings = load_settings(path)
    assert settings.planning_address == "unix:/tmp/plan.sock"
    assert settings.geo_reference == (42.0, 2.5) and settings.give_up_after_ticks == 0
    assert settings.session_options().lockstep_ticks == 3
    settings.session_options().to_proto()


def test_yaml_is_read_where_pyyaml_is_there(tmp_path):
    path = write(tmp_path, "time_mode: realtime\nplan_deadline_s: 0.5\n", "agent.yaml")
    try:
        import yaml  # noqa: F401
    except ImportError:
        with pytest.raises(SettingsError, match="YAML needs PyYAML"):
            load_settings(path)
    else:
        assert load_settings(path).plan_deadline_s == 0.5
        with pytest.raises(SettingsError, match="not YAML"):
            load_settings(write(tmp_path, "a: [", "broken.yml"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"planing_address": "x"}, "unknown key planing_address; there are camera_encoding"),
        ({"time_mode": "fast"}, "time_mode is 'fast', want one of stepped, lockstep, realtime"),
        ({"planning_address": 3}, "planning_address is 3, want text"),
        ({"plan_deadline_s": 0}, "plan_deadline_s is 0, want more than 0"),
        ({"plan_deadline_s": True}, "plan_deadline_s is True, want a number"),
        ({"plan_deadline_s": float("inf")}, "plan_deadline_s is inf, want a number"),
        ({"give_up_after_ticks": -1}, "give_up_after_ticks is -1, want 0 or more"),
        ({"lockstep_ticks": 1.5}, "lockstep_ticks is 1.5, want a whole number"),
        ({"geo_reference": [1]}, r"geo_reference is \[1\], want \[latitude, longitude\]"),
        ([1], "holds a list, want one object"),
        ("{", "not JSON"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, values, message):
    path = write(tmp_path, values)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(path)
    assert path in str(caught.value)


def test_files_of_other_kinds_and_missing_ones_are_named(tmp_path):
    with pytest.raises(SettingsError, match=r"ends in '.ini', want .json, .yaml or .yml"):
        load_settings(write(tmp_path, "", "agent.ini"))
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(str(tmp_path / "absent.json"))


def test_run_name_of_an_evaluator_is_split_off():
    assert split_config_argument("a/agent.json") == ("a/agent.json", "")
    assert split_config_argument("a.json+route_1") == ("a.json", "route_1")
    # Bench2Drive's evaluator goes on appending, one name per route.
    assert split_config_argument("a.json+route_1+route_2") == ("a.json", "route_2")
    assert split_config_argument("") == ("", "")
