"""What the clients send: the same arrays and bytes to every server."""

from __future__ import annotations

import io

import numpy as np

BEV_CHANNELS = 756  # [756, 8, 8] float32: 189 KiB
CAMERA_SIZE = (1024, 512)  # width, height
SEED = 20261


def state() -> np.ndarray:
    """Speed and two target points."""
    return np.array([8.0, 8.0, 0.5, 20.0, -1.5], np.float32)


def bev_feature() -> np.ndarray:
    """`[756, 8, 8]` float32."""
    return np.random.default_rng(SEED).standard_normal((BEV_CHANNELS, 8, 8)).astype(np.float32)


def raw_image() -> np.ndarray:
    """`[512, 1024, 3]` uint8: 1.5 MiB."""
    width, height = CAMERA_SIZE
    return np.random.default_rng(SEED).integers(0, 256, (height, width, 3), np.uint8)


def lidar_histogram() -> np.ndarray:
    """`[256, 256]` uint8 counts of at most 5: 64 KiB."""
    return np.random.default_rng(SEED).integers(0, 6, (256, 256), np.uint8)


def jpeg() -> bytes:
    """A 1600 x 900 picture of about 244 KiB: as smooth and as noisy as a rendered road."""
    from PIL import Image

    random = np.random.default_rng(SEED)
    rows, columns = np.mgrid[0:900, 0:1600]
    smooth = np.stack([columns / 1600, rows / 900, (rows + columns) / 2500], axis=-1) * 200
    noisy = np.clip(smooth + random.normal(0, 6.5, smooth.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()
