"""Driving with a served model while the teacher answers."""

from __future__ import annotations

import grpc
import numpy as np
import pytest

from automot_client._generated.automot.v1 import session_pb2
from automot_client.dataset.service_driver import ServiceDriver
from automot_client.driving.planner_port import PlanFailed
from automot_client.geometry import Pose
from automot_client.teacher.teacher import TeacherPlan
from automot_client.types import Observation
from fake_planning_server import FakeServer


@pytest.fixture
def server():
    server = FakeServer()
    yield server
    server.stop()


def drive(driver: ServiceDriver) -> tuple[float, bool]:
    """Steering for a straight teacher's plan."""
    observation = Observation(0, 5.0, np.array([[8.0, 0.0], [20.0, 0.0]]), 0, Pose(0.0, 0.0, 0.0))
    ahead = np.stack([np.arange(1.0, 21.0), np.zeros(20)], axis=1)
    plan = TeacherPlan(ahead, 3.0 * ahead[:6], np.zeros(3), np.zeros(3), ahead)
    control, perturbed = driver.control(observation, plan)
    return control.steer, perturbed


def test_model_drives_and_the_teacher_where_a_plan_fails(server):
    driver = ServiceDriver(server.address)
    assert server.planning.opened.options.run_controller
    assert drive(driver) == (0.125, False)
    server.planning.plan_failures = [grpc.StatusCode.UNAVAILABLE]
    assert drive(driver) == (0.0, False)
    assert drive(driver) == (0.125, False)
    driver.close()
    assert server.planning.closed == [77]


def test_a_lost_sweep_is_planned_without(server):
    driver = ServiceDriver(server.address)
    assert (
        server.planning.opened.options.on_missing_modality == session_pb2.ON_MISSING_MODALITY_FLAG
    )
    driver.close()


# Every second tick would be the teacher's for an episode that is called the model's.
def test_failures_between_plans_end_the_episode_too(server):
    driver = ServiceDriver(server.address)
    with pytest.raises(PlanFailed):
        for _ in range(30):
            server.planning.plan_failures = [grpc.StatusCode.INVALID_ARGUMENT]
            drive(driver)
            drive(driver)
    driver.close()
