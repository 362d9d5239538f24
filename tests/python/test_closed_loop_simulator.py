"""A whole route in the simulator itself; skipped where it is not installed."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import pytest

from automot_client.evaluation.route_drive import drive_route
from automot_client.evaluation.route_job import DriveSettings, RouteJob

# Of each test, for a file without tests is an error.
pytestmark = pytest.mark.skipif(find_spec("metadrive") is None, reason="MetaDrive is not here")


def test_route_goes_the_same_again_and_more_knowledge_goes_further(tmp_path: Path):
    def drive(driver: str):
        job = RouteJob(tmp_path, 50_001, DriveSettings(driver=driver), page=False)
        return dataclasses.replace(drive_route(job), wall_s=0.0)

    blind = drive("blind_route")
    assert blind == drive("blind_route")
    assert blind.outcome == "crash_vehicle" and blind.route_completion < 0.3
    assert drive("teacher").route_completion > 0.9
