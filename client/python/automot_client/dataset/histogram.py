"""The planner's LiDAR histogram as sparse cells, and back: the rules of common/lidar/histogram.h."""

from __future__ import annotations

import numpy as np

_SIDE = 256
_REACH_M = 32.0
_CELLS_PER_M = 4.0
_LOWEST_M, _HIGHEST_M = 0.2, 100.0
_MOST = 5


def sparse_histogram(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells [m] int32 (row * 256 + column; rows are y, columns x, rising) and counts [m] uint8.

    points [n, 3]: ego frame, metres. Cells are half-open, the last of an axis contains 32 m as well.
    """
    xyz = points.astype(np.float64)
    kept = (xyz[:, 2] > _LOWEST_M) & (xyz[:, 2] < _HIGHEST_M)
    kept &= (np.abs(xyz[:, :2]) <= _REACH_M).all(axis=1)
    index = np.floor((xyz[kept, :2] + _REACH_M) * _CELLS_PER_M).astype(np.int64)
    index = np.minimum(index, _SIDE - 1)
    cells, counts = np.unique(index[:, 1] * _SIDE + index[:, 0], return_counts=True)
    return cells.astype(np.int32), np.minimum(counts, _MOST).astype(np.uint8)


def dense_histogram(cells: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Counts [256, 256] uint8, rows y, columns x, of sparse cells."""
    dense = np.zeros(_SIDE * _SIDE, np.uint8)
    dense[cells] = counts
    return dense.reshape(_SIDE, _SIDE)


def cell_centres(cells: np.ndarray) -> np.ndarray:
    """Centres [m, 2] of cells, ego frame, metres."""
    return (np.stack([cells % _SIDE, cells // _SIDE], axis=1) + 0.5) / _CELLS_PER_M - _REACH_M
