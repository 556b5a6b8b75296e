# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixed points of a surface whose vertices move, as sparse weights: one product places all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .texels import TexelTable

Array = np.ndarray

_R2 = np.array([0.7548776662466927, 0.5698402909980532])
"""One over the plastic number, and its square."""
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
    """Corners (k, 3) and weights (k, 3) of points on `triangles` ((m, 3) int), one for each `spacing` metres
    squared, where the `vertices` ((n, 3) metres) are; at least one on each.

    Places within a triangle follow the R2 sequence, which leaves smaller holes than chance (Roberts 2018).
    """
    points = vertices[triangles].astype(np.float64)
    area = 0.5 * np.linalg.norm(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), axis=1)
    wanted = np.cumsum(area) / spacing**2
    count = np.maximum(np.diff(np.floor(wanted), prepend=0.0), 1).astype(int)
    owner = np.repeat(np.arange(len(triangles)), count)
    share = (np.arange(len(owner))[:, None] * _R2 + 0.5) % 1.0
    share = np.where(share.sum(axis=1, keepdims=True) > 1.0, 1.0 - share, share)
    weights = np.column_stack([share, 1.0 - share.sum(axis=1)])
    return triangles[owner], weights.astype(np.float32)


def bordered(table: TexelTable, border: int = 2) -> tuple[Array, Array, Array]:
    """Texels (k,) int (row by row), the corners (k, 3) and weights (k, 3) of their points: those inside and,
    `border` texels around, those that the nearest triangle reaches when it is continued. Interpolation
    between texels then is right up to the border.
    """
    texels, own, weights = continued(table, border)
    return texels, table.triangles[own], weights


def continued(table: TexelTable, border: int = 2) -> tuple[Array, Array, Array]:
    """The same with the triangle (k,) of each texel in place of its corners."""
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
    return np.flatnonzero(near), own, weights


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
