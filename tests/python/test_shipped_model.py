"""models/nano: that it is small, says that it is trained, and follows the recorded drive."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from automot_client.client import Deadlines, PlannerClient, SessionOptions
from automot_client.episode import read_episode
from serving import START_LIMIT_S, missing_program, running_service

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "nano"
EPISODE = ROOT / "tests" / "data" / "episode"


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The recorded observations, what the server says of itself, and its plans."""
    missing = missing_program()
    if missing:
        pytest.skip(missing)
    episode = read_episode(EPISODE)
    options = SessionOptions(reasoning_rate_hz=4.0, time_mode="stepped", run_controller=True)
    with (
        running_service(tmp_path_factory.mktemp("service"), MODEL) as addresses,
        PlannerClient(addresses["planning"], deadlines=Deadlines(plan_s=60.0)) as client,
    ):
        client.wait_ready(START_LIMIT_S)
        info = client.server_info()
        with client.open_session("recorded", options) as session:
            return episode, info, [session.plan(observation) for observation in episode]


def test_the_model_is_small_and_has_a_card():
    assert sum(file.stat().st_size for file in MODEL.iterdir()) < 25_000_000
    card = (MODEL / "README.md").read_text()
    for word in ("Data", "Command", "Seed", "Scores", "Limits"):
        assert word in card


def test_the_server_says_that_it_is_trained(answers):
    assert answers[1].weights_trained
    assert answers[1].camera_size == (256, 128)


def test_plans_stay_near_the_recorded_way(answers):
    """The recorded driver follows the lane at 7 m/s through an intersection."""
    episode, _, plans = answers
    off = []
    for i in range(len(episode) - 20):
        pose, later = episode[i].pose, episode[i + 20].pose
        dx, dy = later.x - pose.x, later.y - pose.y
        # Ego frame: x forward, y right.
        x = dx * math.cos(pose.yaw) + dy * math.sin(pose.yaw)
        y = -dx * math.sin(pose.yaw) + dy * math.cos(pose.yaw)
        route = plans[i].route
        off.append(np.hypot(route[:, 0] - x, route[:, 1] - y).min())
    assert np.mean(off) < 0.5, "metres between the record and the planned route"
