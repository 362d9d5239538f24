"""Writes reprojection_reference.json: pictures of a model camera made by numpy, for front_camera_test.

Independent of the product: rotation matrices instead of quaternions, lenses inverted by tables, and
pictures sampled from a formula instead of interpolated pixels. Needs numpy; run it by hand.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

MODEL = {"width": 24, "height": 12, "fov_deg": 110.0}
FRAME = (96, 60)  # columns, rows


def scene(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The frame as a smooth function of continuous pixel coordinates, RGB."""
    return np.stack(
        [40 + 1.8 * x, 40 + 2.4 * y, 128 + 60 * np.sin(x / 17.0) * np.cos(y / 13.0)], axis=-1
    )


def rotation(yaw_left_deg: float, pitch_down_deg: float, roll_deg: float) -> np.ndarray:
    """Optical frame to rig: x right, y down, z ahead against x ahead, y left, z up."""
    optical = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    yaw, pitch, roll = (math.radians(a) for a in (yaw_left_deg, pitch_down_deg, roll_deg))
    about_z = np.array(
        [[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
    )
    about_y = np.array(
        [[math.cos(pitch), 0, math.sin(pitch)], [0, 1, 0], [-math.sin(pitch), 0, math.cos(pitch)]]
    )
    about_x = np.array(
        [[1, 0, 0], [0, math.cos(roll), -math.sin(roll)], [0, math.sin(roll), math.cos(roll)]]
    )
    return about_z @ about_y @ about_x @ optical


def project(lens: dict, rays: np.ndarray) -> np.ndarray:
    """Pixels [..., 2] of optical rays [..., 3]; NaN where they are not seen."""
    x, y, z = np.moveaxis(rays, -1, 0)
    centre = np.array(lens["principal_point"])
    if lens["model"] == "pinhole":
        with np.errstate(all="ignore"):
            u, v = x / z, y / z
        r2 = u * u + v * v
        k = lens["radial"] + [0.0] * (6 - len(lens["radial"]))
        factor = (1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3) / (
            1 + k[3] * r2 + k[4] * r2**2 + k[5] * r2**3
        )
        p1, p2 = lens["tangential"]
        across = u * factor + 2 * p1 * u * v + p2 * (r2 + 2 * u * u)
        down = v * factor + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v
        pixels = centre + np.stack([across, down], -1) * np.array(lens["focal_length"])
        pixels[z <= 0] = np.nan
        return pixels
    angle = np.arccos(np.clip(z / np.linalg.norm(rays, axis=-1), -1, 1))
    around = np.arctan2(y, x)
    if lens["model"] == "fisheye":
        k1, k2, k3, k4 = lens["radial"]
        r = angle + k1 * angle**3 + k2 * angle**5 + k3 * angle**7 + k4 * angle**9
        offset = np.stack([r * np.cos(around), r * np.sin(around)], -1)
        offset = offset * np.array(lens["focal_length"])
    else:  # F-theta: the defining polynomial tabulated and looked up backwards
        radii = np.linspace(0.0, 200.0, 400001)
        angles = np.polynomial.polynomial.polyval(radii, lens["radius_to_angle"])
        r = np.interp(angle, angles, radii)
        c, d, e = lens["linear"]
        matrix = np.array([[c, d], [e, 1.0]])
        offset = np.stack([r * np.cos(around), r * np.sin(around)], -1) @ matrix.T
    pixels = centre + offset
    pixels[angle > lens["max_angle_rad"]] = np.nan
    return pixels


def picture(case: dict) -> list[list[int]]:
    """The model camera's picture [rows x columns, 3]; -1: too near the frame's edge to compare."""
    focal = MODEL["width"] / 2 / math.tan(math.radians(MODEL["fov_deg"]) / 2)
    rows, columns = np.mgrid[0 : MODEL["height"], 0 : MODEL["width"]] + 0.5
    rays = np.stack(
        [
            np.ones_like(rows),
            -(columns - MODEL["width"] / 2) / focal,
            -(rows - MODEL["height"] / 2) / focal,
        ],
        axis=-1,
    )
    pixels = project(case["lens"], rays @ rotation(*case["angles_deg"]))
    native = np.array([case["width"], case["height"]])
    pixels = pixels / native * np.array(FRAME)
    x, y = pixels[..., 0], pixels[..., 1]
    colour = np.rint(scene(x, y))
    margin = case["margin"]
    outside = ~((x >= 0) & (x <= FRAME[0]) & (y >= 0) & (y <= FRAME[1]))
    inside = (x >= margin) & (x <= FRAME[0] - margin) & (y >= margin) & (y <= FRAME[1] - margin)
    colour[outside] = 0
    colour[~outside & ~inside] = -1
    return colour.astype(int).reshape(-1, 3).tolist()


def main() -> None:
    pinhole = {
        "model": "pinhole",
        "principal_point": [100.0, 58.0],
        "focal_length": [80.0, 82.0],
        "radial": [],
        "tangential": [0.0, 0.0],
    }
    cases = [
        {"name": "plain", "lens": pinhole, "angles_deg": [0.0, 0.0, 0.0]},
        {"name": "turned", "lens": pinhole, "angles_deg": [12.0, 7.0, -3.0]},
        {
            "name": "distorted",
            "lens": pinhole
            | {"radial": [-0.05, 0.01, 0.001, 0.02, 0.0, 0.0], "tangential": [0.002, -0.003]},
            "angles_deg": [-5.0, 2.0, 1.0],
        },
        {
            "name": "fisheye",
            "lens": {
                "model": "fisheye",
                "principal_point": [97.0, 61.0],
                "focal_length": [70.0, 71.0],
                "radial": [0.02, -0.004, 0.0005, 0.0001],
                "max_angle_rad": 1.2,
            },
            "angles_deg": [4.0, -3.0, 2.0],
        },
        {
            "name": "ftheta",
            "lens": {
                "model": "ftheta",
                "principal_point": [95.0, 60.0],
                "radius_to_angle": [0.0, 0.0125, 0.0, 1.5e-7],
                "linear": [1.01, 0.004, -0.003],
                "max_angle_rad": 1.15,
            },
            "angles_deg": [-2.0, 5.0, 0.5],
        },
    ]
    for case in cases:
        case |= {"width": 192, "height": 120, "margin": 2.0}
        case["camera_in_rig"] = rotation(*case["angles_deg"]).tolist()
        case["picture"] = picture(case)
    document = {"model": MODEL, "frame": FRAME, "cases": cases}
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
