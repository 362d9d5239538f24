"""The leaderboard's life cycle around a driver: setup, sensors, run_step, destroy."""

from __future__ import annotations

import importlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automot_client.carla_agent.driver import CarlaDriver
from automot_client.carla_agent.geo_reference import GeoReference, reference_of_plan
from automot_client.carla_agent.route_planner import plan_points
from automot_client.carla_agent.sensor_suite import CAMERA_SIZE, sensor_suite
from automot_client.carla_agent.service_link import ServiceLink
from automot_client.carla_agent.settings import AgentSettings, load_settings, split_config_argument
from automot_client.carla_agent.tick_log import TickLog
from automot_client.carla_agent.vehicle_control import vehicle_control

logger = logging.getLogger(__name__)

_LEADERBOARD = "leaderboard.autoagents.autonomous_agent"


class StandaloneBase:
    """What the agent needs of the leaderboard's AutonomousAgent, for callers that have no leaderboard.

    The leaderboard's own also thins the plan to about 50 m between points; a caller does it here.
    """

    def __init__(self, carla_host: str = "", carla_port: int = 0, debug: bool = False) -> None:
        self.track: Any = "SENSORS"
        self._global_plan: Any = None
        self._global_plan_world_coord: Any = None

    def set_global_plan(self, global_plan_gps: Any, global_plan_world_coord: Any) -> None:
        """The route as `({'lat', 'lon', 'z'}, option)` and `(transform, option)` per point."""
        self._global_plan = global_plan_gps
        self._global_plan_world_coord = global_plan_world_coord


class LifeCycle:
    """Mixed into the base of `agent_class`, which keeps the plan. Not thread-safe."""

    _global_plan: Any
    _global_plan_world_coord: Any
    track: Any

    _settings = AgentSettings()
    _link: ServiceLink | None = None
    _log: TickLog | None = None
    _driver: CarlaDriver | None = None
    _planned: Any = None  # The plan that the driver has.
    _run_name = ""
    _metric_info: dict[int, Any] | None = None
    _ticks = 0
    _stop = ""  # Of the last tick, so that one long stop is one line of the log.

    def setup(self, path_to_conf_file: str) -> None:
        """Reads the configuration, connects, opens the session; raises with a reason where it cannot."""
        self.destroy()
        path, self._run_name = split_config_argument(path_to_conf_file)
        self.track = _sensors_track()
        self._settings = load_settings(path)
        self._link = ServiceLink(self._settings)
        info = self._link.info
        if not info.weights_trained:
            logger.warning("the weights are random, untrained: driving scores mean nothing")
        self._log = TickLog(self._record_file(self._link.session_name))
        self._driver = CarlaDriver(self._settings, self._link, self._log)
        self._metric_info = {} if self._wants_metric_info() else None

    def sensors(self) -> list[dict[str, Any]]:
        """The published agent's sensors, the camera in the size that the served checkpoint wants."""
        return sensor_suite(self._driver.camera_size if self._driver else CAMERA_SIZE)

    def run_step(self, input_data: Mapping[str, tuple[int, Any]], timestamp: float) -> Any:
        """The command for one tick: a `carla.VehicleControl`."""
        if self._driver is None:
            raise RuntimeError("run_step before setup, or after destroy")
        if not self._global_plan_world_coord:
            raise RuntimeError("run_step before set_global_plan, or after one without points")
        if self._global_plan_world_coord is not self._planned:
            self._take_plan(self._driver)
        tick = self._driver.step(input_data, timestamp)
        if tick.stop != self._stop:
            logger.warning("at %.2f s: %s", timestamp, tick.stop or "driving")
            self._stop = tick.stop
        if self._metric_info is not None and tick.plan is not None:
            self._metric_info[self._ticks] = self.get_metric_info()  # type: ignore[attr-defined]
        self._ticks += 1
        return vehicle_control(tick.control)

    def destroy(self) -> None:
        """Ends session, connection and log; called twice, or after a setup that failed, is fine."""
        link, log, self._link, self._log, self._driver = self._link, self._log, None, None, None
        self._planned, self._ticks, self._stop = None, 0, ""
        try:
            if log is not None:
                logger.info("route over: %s", json.dumps(log.summary()))
                log.close()
            self._write_metric_info()
        finally:
            if link is not None:
                link.close()

    def _take_plan(self, driver: CarlaDriver) -> None:
        world = self._global_plan_world_coord
        given = self._settings.geo_reference
        reference = GeoReference(*given) if given else reference_of_plan(self._global_plan, world)
        driver.set_plan(plan_points(world), reference)
        self._planned = world

    def _record_file(self, session_name: str) -> Path | None:
        if not self._settings.record_folder:
            return None
        name = self._run_name or session_name
        return Path(self._settings.record_folder).expanduser() / f"{name}.jsonl"

    def _wants_metric_info(self) -> bool:
        """Bench2Drive's evaluator computes efficiency and comfort from a file that its agents write."""
        return bool(os.environ.get("SAVE_PATH") and hasattr(self, "get_metric_info"))

    def _write_metric_info(self) -> None:
        info, self._metric_info = self._metric_info, None
        if not info:
            return
        folder = Path(os.environ["SAVE_PATH"]) / self._run_name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metric_info.json").write_text(json.dumps(info, indent=4), encoding="utf-8")


def agent_class() -> type:
    """The agent's class on the leaderboard's base, which imports CARLA, or on StandaloneBase without it."""
    try:
        base: type = importlib.import_module(_LEADERBOARD).AutonomousAgent
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "leaderboard":
            raise  # The leaderboard is there, something that it needs is not.
        base = StandaloneBase
    return type("AutomotAgent", (LifeCycle, base), {"__doc__": "Drives by the AutoMoT services."})


def _sensors_track() -> Any:
    """The leaderboard's SENSORS track: no map."""
    try:
        return importlib.import_module(_LEADERBOARD).Track.SENSORS
    except ModuleNotFoundError:
        return "SENSORS"
