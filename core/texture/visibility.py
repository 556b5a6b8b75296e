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
_MOST_CELLS = 400
"""Along a side of the grid; a face that fills more of the picture gets larger cells."""


@dataclass(frozen=True)
class Grid:
    """Nearest depths over a part of the picture."""

    depth: Array
    """(h, w) float32 metres before the camera, `FAR` where there is nothing. Grown by one cell."""
    covered: Array
    """(h, w) uint8: 1 where there is something."""
    origin: tuple[float, float]
    """px of the picture as shown: its upper left corner."""
    cell: float
    """px."""

    def places(self, px: Array) -> tuple[Array, Array]:
        """Column and row, as cv2.remap counts, of places (..., 2) px."""
        scale = np.float32(1.0 / self.cell)
        x = (px[..., 0] - np.float32(self.origin[0])) * scale - np.float32(0.5)
        y = (px[..., 1] - np.float32(self.origin[1])) * scale - np.float32(0.5)
        return x, y

    def nearest(self, px: Array) -> Array:
        """(k,) depths at places (k, 2) px, of the cell that holds each."""
        x, y = self.places(px)
        height, width = self.depth.shape
        column = np.clip(np.rint(x).astype(np.int32), 0, width - 1)
        row = np.clip(np.rint(y).astype(np.int32), 0, height - 1)
        return self.depth.ravel()[row * width + column]


@dataclass(frozen=True)
class Occluder:
    """Points spread over a surface that hides others."""

    points: Any
    """(k, n) sparse weights of the n vertices."""
    spacing: float
    """Metres between points, at most about."""

    @staticmethod
    def of(triangles: Array, vertices: Array, spacing: float) -> Occluder:
        """Over `triangles` ((m, 3) int) of `vertices` ((n, 3) metres, at rest)."""
        corners, weights = spread(triangles, vertices, spacing)
        return Occluder(sparse_points(corners, weights, len(vertices)), spacing)

    def grid(self, places: Array, px_per_metre: float) -> Grid | None:
        """Its nearest depths; `places` (n, 3) float32: px and depth of each vertex. None for no points."""
        import cv2

        x, y, depth = (self.points @ places).T
        if not len(x):
            return None
        low, high = (float(x.min()), float(y.min())), (float(x.max()), float(y.max()))
        extent = max(high[0] - low[0], high[1] - low[1])
        cell = max(1.4 * self.spacing * px_per_metre, extent / _MOST_CELLS, 1e-3)
        origin = (low[0] - 2 * cell, low[1] - 2 * cell)
        width, height = (int((high[k] - origin[k]) / cell) + 3 for k in (0, 1))
        column = ((x - np.float32(origin[0])) * np.float32(1 / cell)).astype(np.int32)
        row = ((y - np.float32(origin[1])) * np.float32(1 / cell)).astype(np.int32)
        nearest = np.full(width * height, FAR, np.float32)
        np.minimum.at(nearest, row * np.int32(width) + column, depth)
        around = np.ones((3, 3), np.uint8)
        grown = cv2.erode(nearest.reshape(height, width), around)
        covered = (cv2.dilate(grown, around) < FAR).astype(np.uint8)
        return Grid(grown, covered, origin, cell)
