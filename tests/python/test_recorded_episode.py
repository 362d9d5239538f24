"""A recorded episode: what is in it, and what the services answer to it, without a simulator."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automot_client.client import Deadlines, PlannerClient, SessionOptions
from automot_client.episode import read_episode, write_episode
from automot_client.types import CameraFrame, Observation, Plan
from fake_planning_server import FakeServer
from serving import START_LIMIT_S, missing_program, running_service

EPISODE = Path(__file__).parent.parent / "data" / "episode"
HARD_STALENESS_S = 1.0
REASONING_RATE_HZ = 2.0


@pytest.fixture(scope="module")
def episode() -> list[Observation]:
    return read_episode(EPISODE)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    missing = missing_program()
    if missing:
        pytest.skip(missing)
    with running_service(tmp_path_factory.mktemp("service")) as addresses:
        yield addresses


def play(address: str, episode: list[Observation]) -> list[Plan]:
    """Plans every observation in a STEPPED session; a failed plan raises."""
    options = SessionOptions(
        reasoning_rate_hz=REASONING_RATE_HZ, time_mode="stepped", run_controller=True
    )
    with PlannerClient(address, deadlines=Deadlines(plan_s=60.0)) as client:
        client.wait_ready(START_LIMIT_S)
        with client.open_session("recorded", options) as session:
            return [session.plan(observation) for observation in episode]


def assert_answers_belong(plans: list[Plan], episode: list[Observation]) -> None:
    """Every observation has its own answer: echoed, finite, to be driven."""
    assert [plan.sequence for plan in plans] == list(range(1, len(episode) + 1))
    for plan, observation in zip(plans, episode, strict=True):
        assert (plan.session, plan.episode) == ("recorded", plans[0].episode)
        assert plan.capture_time_us == observation.capture_time_us
        assert plan.route.shape == (20, 2) and plan.waypoints.shape == (6, 2)
        assert np.isfinite(plan.route).all() and np.isfinite(plan.waypoints).all()
        assert plan.control is not None and -1.0 <= plan.control.steer <= 1.0


def test_episode_is_a_drive_without_gaps(episode):
    assert len(episode) == 100
    assert set(np.diff([o.capture_time_us for o in episode])) == {50_000}
    steps = np.diff([(o.pose.x, o.pose.y) for o in episode], axis=0)
    speeds = np.array([o.speed_mps for o in episode])
    assert np.hypot(*steps.T) / 0.05 == pytest.approx(speeds[1:], abs=0.2)
    assert speeds.min() > 5.0


def test_episode_has_what_the_model_sees(episode):
    with_picture = [o for o in episode if o.camera_frames]
    assert len(with_picture) == len(episode) / 2 and episode[0].camera_frames
    for observation in with_picture:
        frame = observation.camera_frames[0]
        assert frame.capture_time_us == observation.capture_time_us
        assert Image.open(io.BytesIO(frame.data)).size == (256, 128)
    for observation in episode:
        points = observation.lidar_points
        assert points.dtype == np.float32 and len(points) > 300
        assert np.abs(points[:, :2]).max() < 50.0 and (points[:, 2] > -0.01).all()
        near, far = observation.target_points
        assert np.hypot(*near) == pytest.approx(8.0, abs=1.0)
        assert 15.0 < far[0] <= 21.0


def test_written_episode_reads_back(episode, tmp_path):
    few = episode[:3]
    write_episode(tmp_path, few)
    again = read_episode(tmp_path)
    assert len(again) == 3
    for one, other in zip(few, again):
        assert one.camera_frames == other.camera_frames and one.pose == other.pose
        assert np.array_equal(one.lidar_points, other.lidar_points)
        assert np.array_equal(one.target_points, other.target_points)


def test_raw_pictures_are_not_written_as_jpeg(episode, tmp_path):
    raw = dataclasses.replace(episode[0], camera_frames=(CameraFrame(0, bytes(6), (2, 1)),))
    with pytest.raises(ValueError, match=r"observations\[1\]: raw pictures"):
        write_episode(tmp_path, [episode[0], raw])


def test_player_sends_every_observation(episode):
    server = FakeServer()
    try:
        assert_answers_belong(play(server.address, episode), episode)
    finally:
        server.stop()
    assert [p.observation.capture_time_us for p in server.planning.plans] == [
        o.capture_time_us for o in episode
    ]
    assert sum(len(p.observation.camera_images) for p in server.planning.plans) == 50


def test_services_answer_every_observation(service, episode):
    plans = play(service["planning"], episode)
    assert_answers_belong(plans, episode)
    versions = [(plan.snapshot.epoch, plan.snapshot.version) for plan in plans]
    assert versions == sorted(versions)
    assert versions[0][1] > 0, "a stepped session waits for its first context"
    duration_s = (episode[-1].capture_time_us - episode[0].capture_time_us) / 1e6
    assert len(set(versions)) >= duration_s * REASONING_RATE_HZ
    staleness = [plan.staleness_s for plan in plans]
    assert min(staleness) >= 0.0 and max(staleness) <= HARD_STALENESS_S
    reasons = set().union(*(plan.reasons for plan in plans))
    assert not reasons & {"FALLBACK", "EXPIRED", "NO_CONTEXT", "NO_LIDAR", "TIME_JUMP"}


def test_services_declare_the_camera_of_the_recording(service):
    with PlannerClient(service["planning"]) as client:
        info = client.server_info()
    assert info.camera_size == (256, 128)
    assert info.lane == "in_process" and not info.weights_trained
