"""Resampling against Pillow, byte for byte."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image
from programs import Programs
from results import Results

PART = "resize"
FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}


def _side(rng: random.Random) -> int:
    return rng.choice((rng.randint(1, 12), rng.randint(1, 200), rng.randint(100, 1100)))


def random_picture(rng: random.Random, width: int, height: int) -> np.ndarray:
    """Noise, hard edges, or a smooth picture: each provokes other roundings."""
    noise = np.random.default_rng(rng.getrandbits(32))
    kind = rng.random()
    if kind < 0.4:
        return noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind < 0.7:
        return (noise.integers(0, 2, (height, width, 3)) * 255).astype(np.uint8)
    rows, cols = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows * rng.uniform(0, 1) + cols * rng.uniform(0, 1)) for _ in range(3)]
    return (127.5 + 127.5 * np.stack(waves, axis=-1)).round().astype(np.uint8)


def compare(programs: Programs, results: Results, count: int, seed: int) -> None:
    rng = random.Random(seed)
    for begin in range(0, count, 50):
        cases, stdin = [], []
        for _ in range(min(50, count - begin)):
            width, height, new_width, new_height = (_side(rng) for _ in range(4))
            if rng.random() < 0.1:
                new_width = width
            if rng.random() < 0.1:
                new_height = height
            picture = random_picture(rng, width, height)
            name = rng.choice(sorted(FILTERS))
            cases.append((picture, new_width, new_height, name))
            stdin.append(f"{width} {height} {new_width} {new_height} {name}\n".encode())
            stdin.append(picture.tobytes())
        ours = programs.run("automot-parity-resize", stdin=b"".join(stdin))
        for picture, width, height, name in cases:
            expected = np.asarray(Image.fromarray(picture).resize((width, height), FILTERS[name]))
            pixels = np.frombuffer(ours[: expected.size], np.uint8).reshape(expected.shape)
            ours = ours[expected.size :]
            where = f"{picture.shape[1]}x{picture.shape[0]} to {width}x{height}"
            results.close(PART, name, where, pixels, expected, 0.0)
