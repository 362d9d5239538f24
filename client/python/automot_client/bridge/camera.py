"""Draws the front camera from the map and the vehicles by the painter's algorithm.

The simulator's own renderer needs a GPU to be usable; flat-shaded polygons with Pillow show the same
content: sky, ground, lane surfaces, markings, kerbs, vehicles. The ego vehicle itself is not drawn.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from automot_client.bridge.look import Look, Rgb
from automot_client.bridge.projection import CameraModel, visible_polygons
from automot_client.bridge.road_map import KERB_HEIGHT_M, RoadMap
from automot_client.bridge.vehicle_shape import vehicle_faces
from automot_client.geometry import Box, Pose

_RANGE_M = 130.0
_MARKING_RANGE_M = 80.0
_SIDEWALK_M = 3.0
_WHITE = np.array([236.0, 236.0, 232.0])
_YELLOW = np.array([240.0, 190.0, 40.0])
_KERB = np.array([168.0, 166.0, 160.0])
_PAVEMENT = np.array([150.0, 146.0, 138.0])

Colour = tuple[int, int, int]


class CameraRenderer:
    """Renders frames of one map. Not safe for use by several threads."""

    def __init__(
        self, road_map: RoadMap, model: CameraModel | None = None, look: Look | None = None
    ) -> None:
        self.model = model or CameraModel()
        self.look = look or Look()
        self._map = road_map
        self._surface_centres = road_map.surfaces.mean(axis=1)
        self._marking_centres = road_map.markings.mean(axis=1)
        self._kerb_centres = road_map.kerbs.mean(axis=1)
        outer = road_map.kerbs + _SIDEWALK_M * road_map.kerb_out[:, None, :]
        self._pavements = np.concatenate([road_map.kerbs, outer[:, ::-1]], axis=1)
        self._background = _ground_and_sky(self.model, self.look)

    def render(self, pose: Pose, vehicles: list[Box]) -> Image.Image:
        """The picture, RGB, seen from an ego pose in the local frame."""
        image = self._background.copy()
        draw = ImageDraw.Draw(image)
        _draw_skyline(draw, self.model, self.look, pose.yaw)
        self._draw_kerbs(draw, pose)
        self._draw_flat(
            draw, pose, self._map.surfaces, self._surface_centres, _RANGE_M, self.look.asphalt
        )
        for colour, chosen in (
            (_WHITE, ~self._map.markings_yellow),
            (_YELLOW, self._map.markings_yellow),
        ):
            self._draw_flat(
                draw,
                pose,
                self._map.markings[chosen],
                self._marking_centres[chosen],
                _MARKING_RANGE_M,
                colour,
            )
        self._draw_vehicles(draw, pose, vehicles)
        return image

    def _draw_flat(
        self,
        draw: ImageDraw.ImageDraw,
        pose: Pose,
        quads: np.ndarray,
        centres: np.ndarray,
        reach: float,
        colour: np.ndarray | Rgb,
    ) -> None:
        near = np.flatnonzero(_ahead(centres, pose, reach))
        points = self.model.to_camera(quads[near], 0.0, pose)
        polygons, index = visible_polygons(points, self.model)
        colours = _hazed(self.look, colour, points[index, :, 2].mean(axis=1))
        for polygon, fill in zip(polygons, colours):
            draw.polygon(polygon, fill=fill)

    def _draw_kerbs(self, draw: ImageDraw.ImageDraw, pose: Pose) -> None:
        near = np.flatnonzero(_ahead(self._kerb_centres, pose, _RANGE_M))
        distance = np.hypot(*(self._kerb_centres[near] - (pose.x, pose.y)).T)
        near = near[np.argsort(-distance)]
        tops = self.model.to_camera(self._pavements[near], KERB_HEIGHT_M, pose)
        low = self.model.to_camera(self._map.kerbs[near], 0.0, pose)
        high = self.model.to_camera(self._map.kerbs[near], KERB_HEIGHT_M, pose)
        faces = np.concatenate([low, high[:, ::-1]], axis=1)
        for quads, colour in ((tops, _PAVEMENT), (faces, _KERB)):
            polygons, index = visible_polygons(quads, self.model)
            for polygon, fill in zip(
                polygons, _hazed(self.look, colour, quads[index, :, 2].mean(axis=1))
            ):
                draw.polygon(polygon, fill=fill)

    def _draw_vehicles(self, draw: ImageDraw.ImageDraw, pose: Pose, vehicles: list[Box]) -> None:
        def distance(box: Box) -> float:
            return math.hypot(box.x - pose.x, box.y - pose.y)

        camera = (
            pose.x + self.model.x_m * math.cos(pose.yaw) - self.model.y_m * math.sin(pose.yaw),
            pose.y + self.model.x_m * math.sin(pose.yaw) + self.model.y_m * math.cos(pose.yaw),
            self.model.z_m,
        )
        ahead = _ahead(
            np.array([(box.x, box.y) for box in vehicles]).reshape(-1, 2), pose, _RANGE_M
        )
        shown = [box for box, seen in zip(vehicles, ahead) if seen]
        for box in sorted(shown, key=distance, reverse=True):
            for face in vehicle_faces(box, camera, self.look.paint_shift):
                points = self.model.to_camera(face.points[:, :2], face.points[:, 2], pose)[None]
                polygons, index = visible_polygons(points, self.model)
                if len(index):
                    fill = _hazed(
                        self.look,
                        np.array(face.colour, dtype=np.float64),
                        points[0, :, 2].mean(keepdims=True),
                    )[0]
                    draw.polygon(polygons[0], fill=fill)


def _ahead(centres: np.ndarray, pose: Pose, reach: float) -> np.ndarray:
    delta = centres - (pose.x, pose.y)
    forward = delta[:, 0] * math.cos(pose.yaw) + delta[:, 1] * math.sin(pose.yaw)
    return (forward > -20.0) & (np.sum(delta * delta, axis=1) < reach * reach)


def _hazed(look: Look, colour: np.ndarray | Rgb, depth: np.ndarray) -> list[Colour]:
    return [tuple(rgb) for rgb in look.hazed(colour, depth).astype(int).tolist()]


def _ground_and_sky(model: CameraModel, look: Look) -> Image.Image:
    rows = np.arange(model.height) + 0.5 - model.horizon_row
    sky_ratio = np.clip(-rows / (model.height / 2), 0.0, 1.0)[:, None] ** 0.7
    haze_colour = np.asarray(look.haze)
    sky = look.lit(haze_colour + (np.asarray(look.sky) - haze_colour) * sky_ratio)
    depth = model.focal_px * model.z_m / np.maximum(rows, 1e-3)
    ground = look.hazed(look.ground, depth)
    column = np.where(rows[:, None] < 0, sky, ground).astype(np.uint8)
    return Image.fromarray(np.repeat(column[:, None, :], model.width, axis=1))


def _draw_skyline(draw: ImageDraw.ImageDraw, model: CameraModel, look: Look, yaw: float) -> None:
    """Far hills: a fixed profile over the compass, so that turning is visible even on bare ground."""
    columns = np.linspace(0, model.width, 65)
    bearing = (
        yaw + math.radians(model.yaw_deg) + np.arctan((columns - model.width / 2) / model.focal_px)
    )
    profile = (
        5.5
        + 2.2 * np.sin(3 * bearing)
        + 1.6 * np.sin(7 * bearing + 1.0)
        + 0.9 * np.sin(17 * bearing + 2.0)
    )
    rows = model.horizon_row - profile * model.height / 256
    line = np.stack([columns, rows], axis=1).ravel().tolist()
    horizon = model.horizon_row + 1
    draw.polygon(
        [*line, model.width, horizon, 0, horizon],
        fill=_hazed(look, (150, 168, 170), np.zeros(1))[0],
    )
