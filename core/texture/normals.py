# SPDX-License-Identifier: GPL-3.0-or-later
"""Normals of a surface whose polygons stay and whose points move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class SurfaceNormals:
    """The polygons around each point, ready to be summed."""

    ends: Array
    """(4, m) int: starts and ends of two lines of each polygon; their cross product is twice its area."""
    around: Any
    """(n, m) sparse float32: 1 where polygon m is at point n."""

    @staticmethod
    def of(polygons: Array, count: int) -> SurfaceNormals:
        """`polygons`: (m, 4) int points of each, -1 last in a triangle; `count` n: how many points there are.

        The area vector of a quad is half the cross product of its diagonals, however it is cut.
        """
        from scipy import sparse

        a, b, c, d = polygons.T
        quad = d >= 0
        ends = np.stack([a, np.where(quad, c, b), np.where(quad, b, a), np.where(quad, d, c)])
        used = polygons >= 0
        owner = np.broadcast_to(np.arange(len(polygons))[:, None], polygons.shape)[used]
        ones = np.ones(len(owner), np.float32)
        around = sparse.csr_matrix((ones, (polygons[used], owner)), (count, len(polygons)))
        return SurfaceNormals(ends, around)

    def sums(self, points: Array) -> Array:
        """(n, 3) float32 normals as long as the areas around each point; `points` (n, 3) float32."""
        edges = []
        for axis in np.ascontiguousarray(points.T):
            ends = axis[self.ends]
            edges.append((ends[1] - ends[0], ends[3] - ends[2]))
        (ax, bx), (ay, by), (az, bz) = edges
        return self.around @ np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)

    def unit(self, points: Array) -> Array:
        """(n, 3) float32 unit normals; 0 at points that have no area around."""
        total = self.sums(points)
        length = np.sqrt(np.einsum("nk,nk->n", total, total))
        return total / np.maximum(length, np.float32(1e-20))[:, None]
