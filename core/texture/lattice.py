# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixed points of a surface whose vertices move, as sparse weights: one product places all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .texels import TexelTable

Array = np.ndarray

_FARTHEST = 2.0
"""How far out of its triangle a point beyond the border may lie, in barycentric coordinates."""


def sparse_points(corners: Array, weights: Array, count: int) -> Any:
    """(k, count) sparse float32: point k is the sum of 3 of `count` vertices, `corners` (k, 3) int, by their
    `weights` (k, 3).
    """
    from scipy import sparse

    starts = np.arange(0, corners.size + 1, 3, dtype=np.int32)
    data = np.ascontiguousarray(weights, np.float32).ravel()
    return sparse.csr_matrix((data, corners.astype(np.int32).ravel(), starts), (len(corners), count))


def spread(triangles: Array, vertices: Array, spacing: float) -> tuple[Array, Array]:
    """Corners (k, 3) and weights (k, 3) of points on `triangles` ((m, 3) int), at most about `spacing` metres
    apart where the `vertices` ((n, 3) metres) are: the middles of each triangle's parts.
    """
    points = vertices[triangles]
    longest = np.linalg.norm(points - np.roll(points, 1, axis=1), axis=2).max(axis=1)
    parts = np.clip(np.ceil(longest / spacing), 1, 64).astype(int)
    corners, weights = [np.zeros((0, 3), int)], [np.zeros((0, 3), np.float32)]
    for count in np.unique(parts):
        own, table = triangles[parts == count], _middles(int(count))
        corners.append(np.repeat(own, len(table), axis=0))
        weights.append(np.tile(table, (len(own), 1)))
    return np.concatenate(corners), np.concatenate(weights)


def _middles(parts: int) -> Array:
    """(parts ** 2, 3) barycentric middles of a triangle whose sides are cut in `parts`."""
    i, j = (axis.ravel() for axis in np.mgrid[:parts, :parts])
    upright = np.stack([i, j], axis=1)[i + j < parts] + 1 / 3
    hanging = np.stack([i, j], axis=1)[i + j < parts - 1] + 2 / 3
    share = np.concatenate([upright, hanging]) / parts
    return np.column_stack([share, 1.0 - share.sum(axis=1)]).astype(np.float32)


def bordered(table: TexelTable, border: int = 2) -> tuple[Array, Array, Array]:
    """Texels (k,) int (row by row), the corners (k, 3) and weights (k, 3) of their points: those inside and,
    `border` texels around, those that the nearest triangle reaches when it is continued. Interpolation
    between texels then is right up to the border.
    """
    from scipy.ndimage import distance_transform_edt

    found: Any = distance_transform_edt(~table.inside, return_indices=True)
    away, (row, column) = found
    near = away <= border + 0.5
    own = table.triangle[row[near], column[near]]
    weights = table.barycentric[near].copy()
    outside = ~table.inside[near]
    centre = np.stack(np.nonzero(near), axis=1)[outside][:, ::-1] + 0.5
    beyond = _weights_at(table.corners[own[outside]], centre / table.size)
    weights[outside] = _pulled_in(beyond)
    return np.flatnonzero(near), table.triangles[own], weights


def _weights_at(corners: Array, places: Array) -> Array:
    """(k, 3) barycentric weights of `places` ((k, 2)) in triangles ((k, 3, 2))."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = places - corners[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    area = np.where(np.abs(area) < 1e-14, 1e-14, area)
    second = (p[:, 0] * b[:, 1] - p[:, 1] * b[:, 0]) / area
    third = (a[:, 0] * p[:, 1] - a[:, 1] * p[:, 0]) / area
    return np.stack([1.0 - second - third, second, third], axis=1)


def _pulled_in(weights: Array) -> Array:
    """Weights (k, 3) whose points lie far out of thin triangles, moved towards the middle."""
    excess = np.abs(weights - 1 / 3).max(axis=1, keepdims=True) / _FARTHEST
    return 1 / 3 + (weights - 1 / 3) / np.maximum(excess, 1.0)
