# SPDX-License-Identifier: GPL-3.0-or-later
"""What hides what: a coarse picture of the nearest depth, made of points that are spread over the surface.

Points a cell apart cost a tenth of drawn triangles, and the borders of what they cover must be kept clear of
anyway: a fitted head is never exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .lattice import sparse_points, spread

Array = np.ndarray

FAR = 1000.0
"""Metres: the depth of a cell with nothing in it."""
CELL = 1.3
"""Side of a cell in the spacing of points: few that lie on a surface stay empty, and those are closed."""
NEAR, WITHIN = 2.0, 4.5
"""Cells from the silhouette up to which nothing is sure, as ears and hair are never fitted exactly, and from
which on everything is.
"""
_LINE = 256
"""Places are looked up in lines of so many: no side of what cv2 looks up may be longer than 32767."""
_MOST_CELLS = 400
"""Along a side of the grid; a face that fills more of the picture gets larger cells."""


@dataclass(frozen=True)
class Grid:
    """Nearest depths over a part of the picture."""

    depth: Array
    """(h, w) float32 metres before the camera, `FAR` where there is nothing."""
    grown: Array
    """The same, but what is nearer reaches one cell farther."""
    covered: Array
    """(h, w) uint8: 1 where there is something."""
    origin: tuple[float, float]
    """px of the picture as shown: its upper left corner."""
    cell: float
    """px."""

    def at(self, px: Array) -> Array:
        """(3, k) float32 at places (k, 2) px: depth, grown depth, and how far within the silhouette, 0..1."""
        import cv2

        away = cv2.distanceTransform(self.covered, cv2.DIST_L2, 3)
        inner = np.clip((away - NEAR) / (WITHIN - NEAR), 0, 1)
        layers = np.dstack([self.depth, self.grown, inner])
        lines = -(-len(px) // _LINE)
        where = np.full((2, lines * _LINE), -1.0, np.float32)
        where[0, : len(px)] = (px[:, 0] - np.float32(self.origin[0])) * np.float32(1 / self.cell) - 0.5
        where[1, : len(px)] = (px[:, 1] - np.float32(self.origin[1])) * np.float32(1 / self.cell) - 0.5
        x, y = where.reshape(2, lines, _LINE)
        found = cv2.remap(layers, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return found.reshape(-1, 3)[: len(px)].T

    def hides(self, places: Array, behind: float) -> Array:
        """(k,) bool: whether something of the grown depth is before places (k, 3), px and depth, by more than
        `behind` metres.
        """
        height, width = self.depth.shape
        column = ((places[:, 0] - np.float32(self.origin[0])) * np.float32(1 / self.cell)).astype(np.int32)
        row = ((places[:, 1] - np.float32(self.origin[1])) * np.float32(1 / self.cell)).astype(np.int32)
        cell = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
        return self.grown.ravel()[cell] < places[:, 2] - np.float32(behind)


@dataclass(frozen=True)
class Occluder:
    """Points spread over a surface that hides others."""

    points: Any
    """(k, n) sparse weights of the n vertices."""
    spacing: float
    """Metres between points."""

    @staticmethod
    def of(triangles: Array, vertices: Array, spacing: float) -> Occluder:
        """Over `triangles` ((m, 3) int) of `vertices` ((n, 3) metres, at rest)."""
        corners, weights = spread(triangles, vertices, spacing)
        return Occluder(sparse_points(corners, weights, len(vertices)), spacing)

    def grid(self, places: Array, px_per_metre: float) -> Grid | None:
        """Its nearest depths; `places` (n, 3) float32: px and depth of each vertex. None for no points."""
        import cv2

        x, y, depth = (self.points @ np.ascontiguousarray(axis) for axis in places.T)
        if not len(x):
            return None
        low, high = (float(x.min()), float(y.min())), (float(x.max()), float(y.max()))
        extent = max(high[0] - low[0], high[1] - low[1])
        cell = max(CELL * self.spacing * px_per_metre, extent / _MOST_CELLS, 1e-3)
        origin = (low[0] - 2 * cell, low[1] - 2 * cell)
        width, height = (int((high[k] - origin[k]) / cell) + 3 for k in (0, 1))
        column = ((x - np.float32(origin[0])) * np.float32(1 / cell)).astype(np.int32)
        row = ((y - np.float32(origin[1])) * np.float32(1 / cell)).astype(np.int32)
        nearest = np.full(width * height, FAR, np.float32)
        np.minimum.at(nearest, row * np.int32(width) + column, depth)
        around = np.ones((3, 3), np.uint8)
        grown = cv2.erode(nearest.reshape(height, width), around)
        closed = cv2.dilate(grown, around)
        return Grid(closed, grown, (closed < FAR).astype(np.uint8), origin, cell)
