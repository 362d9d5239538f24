"""carla-driver-interface's own closed loop drives automot-serve, unmodified."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import grpc
import numpy as np
import pytest
from carla_driver_interface.contract import negotiate
from carla_driver_interface.protocol import EgodriverServiceStub, channel_options
from carla_driver_interface.testing import FakeCamera, FakeLoop

STEPS = 200


def test_its_demo_command_ends_well(addresses: dict[str, str]) -> None:
    program = Path(sys.executable).with_name("carla-driver-interface")
    run = subprocess.run(
        [program, "demo", "--driver", addresses["planning"], "--steps", str(STEPS)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert re.search(rf"steps\s*: {STEPS}\b", run.stdout), run.stdout
    assert re.search(r"terminated by policy\s*: False", run.stdout), run.stdout
    with urllib.request.urlopen(f"http://{addresses['metrics']}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert f'automot_egodriver_rpcs_total{{method="drive",code="ok"}} {STEPS}' in text
    assert 'automot_egodriver_rollouts{state="running"} 0' in text, "it closed its session"


def test_it_negotiates_the_revision_of_optical_frames(addresses: dict[str, str]) -> None:
    with grpc.insecure_channel(addresses["planning"], options=channel_options()) as channel:
        version, revision = negotiate(EgodriverServiceStub(channel), timeout=30.0)
    assert revision == 2
    assert version.version_id.startswith("automot-serve ")


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_a_loop_away_from_the_lane_with_several_cameras(
    addresses: dict[str, str], image_format: str
) -> None:
    cameras = [
        FakeCamera("left", 320, 180, fov_deg=100.0, yaw_left_deg=70.0),
        FakeCamera("front", 640, 360, fov_deg=110.0, pitch_down_deg=4.0),
    ]
    with FakeLoop(
        addresses["planning"],
        cameras,
        initial_speed_mps=8.0,
        initial_lateral_offset_m=3.0,
        initial_heading_rad=2.4,
        image_format=image_format,
    ) as loop:
        result = loop.run(10, seed=7)
    assert result.steps == 10
    assert not result.terminated_by_policy
    assert np.isfinite(result.ego.positions).all()
    for debug in result.debug:
        assert debug is not None
        assert debug.policy_name == "automot"
        assert debug.scalars["no_lidar"] == 1.0
        assert debug.scalars["fallback"] == 0.0, "each plan has its context"
