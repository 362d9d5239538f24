"""Drives one episode and writes it."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automot_client.bridge.projection import CameraModel
from automot_client.bridge.scene import DRIVING_STREAM, QUESTION_STREAM, draw_scene, generator
from automot_client.bridge.splits import require_collectable
from automot_client.bridge.variation import SensorVariation
from automot_client.bridge.world import TICK_S, EpisodeEnd, World, WorldState
from automot_client.dataset.drivers import Driver, TeacherDriver
from automot_client.dataset.episode_data import (
    EpisodeData,
    SensedFrame,
    episode_folder,
    write_episode,
)
from automot_client.dataset.questions import Questioner, scene_answers
from automot_client.driving.sensing import Sensors, observe
from automot_client.teacher.teacher import NAME, Teacher, TeacherPlan
from automot_client.types import Observation

_TICKS_PER_FRAME = 2
_FRAMES_PER_QUESTION = 5
_FORGOTTEN_FRAMES = 10


@dataclass(frozen=True)
class EpisodeJob:
    """One episode to record. Only `max_seconds` bounds it beside the world's own ends."""

    out: Path
    seed: int
    source: str = "teacher"
    service: str = ""
    camera_width: int = 128
    camera_height: int = 96
    target_point_rule: str = "route_distance:8,20"
    max_seconds: float = 120.0


@dataclass(frozen=True)
class EpisodeSummary:
    """How a recorded episode went."""

    folder: str
    seed: int
    frames: int
    bytes: int
    outcome: str
    route_completion: float
    wall_s: float


def record_episode(job: EpisodeJob) -> EpisodeSummary:
    """Records an episode whole. ValueError for a seed of the held-out split."""
    split = require_collectable(job.seed)
    began = time.monotonic()
    world = World(draw_scene(job.seed, job.target_point_rule))
    try:
        recording = _Recording(job, world, split)
        outcome, completion = recording.run()
        folder = episode_folder(job.out, split, job.seed, job.source)
        size = write_episode(folder, recording.data, recording.about(outcome, completion))
    finally:
        world.close()
    return EpisodeSummary(
        f"{split}/{folder.name}",
        job.seed,
        len(recording.data),
        size,
        outcome.value,
        round(completion, 4),
        round(time.monotonic() - began, 2),
    )


class _Recording:
    """The loop over one episode's ticks."""

    def __init__(self, job: EpisodeJob, world: World, split: str) -> None:
        self._job, self._world, self._split = job, world, split
        camera = CameraModel(job.camera_width, job.camera_height)
        self._variation = SensorVariation(job.seed, camera)
        self._sensors = Sensors(
            world.road_map,
            self._variation.camera,
            None,
            self._variation.jpeg_quality,
            self._variation.look,
        )
        self._teacher = Teacher(world.route, world.route_roads, world.ego_size[0])
        self._questioner = Questioner(generator(job.seed, QUESTION_STREAM), split)
        self._questions: list[dict[str, Any]] = []
        self._newest_jpeg = b""
        self.data = EpisodeData()

    def run(self) -> tuple[EpisodeEnd, float]:
        driver = self._driver()
        try:
            end = self._drive(driver)
        finally:
            driver.close()
        state = self._world.state()
        if end not in (EpisodeEnd.ARRIVED, EpisodeEnd.TIME_UP):
            self.data.forget_last(_FORGOTTEN_FRAMES)
        return end, 1.0 if end is EpisodeEnd.ARRIVED else state.route_completion

    def about(self, outcome: EpisodeEnd, completion: float) -> dict[str, Any]:
        """The header, without what the file itself tells."""
        camera, ranges = self._variation.camera, self._variation.ranges
        return {
            "split": self._split,
            "map_seed": self._job.seed,
            "blocks": self._world.options.blocks,
            "traffic_density": self._world.options.traffic_density,
            "accident_probability": self._world.options.accident_probability,
            "camera": {
                **{k: getattr(camera, k) for k in ("width", "height", "fov_deg", "x_m", "z_m")},
                "pitch_deg": camera.pitch_deg,
                "randomisation": {
                    "y_m": camera.y_m,
                    "yaw_deg": camera.yaw_deg,
                    "jpeg_quality": self._variation.jpeg_quality,
                    "look": dataclasses.asdict(self._variation.look),
                    "ranges": dataclasses.asdict(ranges),
                },
            },
            "teacher": {
                "name": NAME,
                "outcome": outcome.value,
                "route_completion": round(completion, 4),
            },
            "target_points_m": self._job.target_point_rule,
            "source": self._job.source,
            "questions_version": self._questioner.version,
            "questions": self._questions,
        }

    def _driver(self) -> Driver:
        if self._job.source == "dagger":
            from automot_client.dataset.service_driver import ServiceDriver

            return ServiceDriver(self._job.service)
        return TeacherDriver(generator(self._job.seed, DRIVING_STREAM), TICK_S)

    def _drive(self, driver: Driver) -> EpisodeEnd:
        sensed = SensedFrame(b"", np.zeros((0, 3), np.float32), False)
        for tick in range(round(self._job.max_seconds / TICK_S)):
            state = self._world.state()
            plan = self._teacher.plan(state)
            is_frame = tick % _TICKS_PER_FRAME == 0
            if is_frame:
                sensed = self._sense(state)
            control, perturbed = driver.control(self._shown(state, sensed, is_frame), plan)
            if is_frame:
                self._keep(state, plan, sensed, perturbed)
            end = self._world.step(control)
            if end is not None:
                return end
        return EpisodeEnd.TIME_UP

    def _shown(self, state: WorldState, sensed: SensedFrame, is_frame: bool) -> Observation:
        """What the driver gets: a model has a sweep of every tick, as in service; a teacher needs none."""
        picture = sensed.jpeg if is_frame and sensed.fresh else None
        sweep: np.ndarray | None = sensed.points
        if not is_frame:
            sweep = self._sensors.sweep(state) if self._job.source == "dagger" else None
        return observe(state, picture, sweep if sweep is not None and len(sweep) else None)

    def _sense(self, state: WorldState) -> SensedFrame:
        losses = self._variation.next_losses()
        points = np.zeros((0, 3), np.float32) if losses.sweep else self._sensors.sweep(state)
        if losses.half_sweep:
            points = self._variation.halve(points)
        fresh = not (losses.picture and self._newest_jpeg)
        if fresh:
            self._newest_jpeg = self._sensors.picture(state)
        return SensedFrame(self._newest_jpeg, points, losses.half_sweep, fresh)

    def _keep(
        self, state: WorldState, plan: TeacherPlan, sensed: SensedFrame, perturbed: bool
    ) -> None:
        frame = len(self.data)
        self.data.add(state, plan, sensed, perturbed)
        if frame % _FRAMES_PER_QUESTION or not sensed.fresh:
            return
        answers = scene_answers(
            state,
            plan.path,
            self._world.route_roads,
            self._world.route.progress_m,
            self._variation.camera,
            self._world.ego_size[0],
        )
        for asked in self._questioner.ask(answers, state.target_points):
            self._questions.append({"frame": frame, **asked})
