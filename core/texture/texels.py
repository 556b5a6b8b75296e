# SPDX-License-Identifier: GPL-3.0-or-later
"""Which triangle of the head each texel of the atlas shows, and where on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..head.atlas import NONE, HeadAtlas
from ..raster import rasterise

Array = np.ndarray

_AT_ONCE = 2_000_000
"""Texels that are laid out at a time, so that a large table takes no gigabytes to make."""


@dataclass(frozen=True, eq=False)
class TexelTable:
    """The atlas at a size S. Row 0 is the top; texel (r, c) is at u = (c + .5) / S, v = 1 - (r + .5) / S."""

    size: int
    """S."""
    triangles: Array
    """(n, 3) int32 rows of the model."""
    corners: Array
    """(n, 3, 2) float32 places of their corners in the square, x right, y down, 0..1."""
    triangle: Array
    """(S, S) int32 index into `triangles`, -1 outside all charts."""
    barycentric: Array
    """(S, S, 3) float32 weights of its corners, 0 outside."""
    chart: Array
    """(S, S) uint8, see `core.head.atlas`."""

    @staticmethod
    def of(atlas: HeadAtlas, size: int) -> TexelTable:
        """The table, made once per layout and size (a tenth of a second for 1024)."""
        key = _Key(atlas, size)
        return _made(key)

    @property
    def inside(self) -> Array:
        """(S, S) bool: within a chart."""
        return self.triangle >= 0

    def sample(self, values: Array) -> Array:
        """(S, S, C) float32 of values per row of the model ((V, C)); 0 outside."""
        values = np.asarray(values, np.float32)
        seen = self.inside
        corners = self.triangles[self.triangle[seen]]
        weights = self.barycentric[seen]
        found = np.zeros((self.size, self.size, values.shape[1]), np.float32)
        found[seen] = sum(weights[:, k, None] * values[corners[:, k]] for k in range(3))
        return found


class _Key:
    """An atlas and a size, hashed by what they are: an atlas holds arrays, which cannot be."""

    def __init__(self, atlas: HeadAtlas, size: int) -> None:
        self.atlas, self.size = atlas, size

    def __hash__(self) -> int:
        return hash((self.atlas.sha256, self.size))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and (self.atlas.sha256, self.size) == (other.atlas.sha256, other.size)


@lru_cache(maxsize=6)
def _made(key: _Key) -> TexelTable:
    atlas, size = key.atlas, key.size
    triangle = np.full((size, size), -1, np.int32)
    barycentric = np.zeros((size, size, 3), np.float32)
    points = atlas.uv.astype(np.float64) * [size, -size] + [0, size]
    for part in _parts(points):
        corners = points[part].reshape(-1, 2)
        own = np.arange(len(corners)).reshape(-1, 3)
        buffer = rasterise(corners, np.ones(len(corners)), own, (size, size), cull=False)
        triangle[buffer.covered] = part[buffer.triangle[buffer.covered]]
        barycentric[buffer.covered] = buffer.weights[buffer.covered]
    chart = np.where(triangle >= 0, atlas.triangle_chart[triangle], NONE).astype(np.uint8)
    return TexelTable(size, atlas.triangles, (points / size).astype(np.float32), triangle, barycentric, chart)


def _parts(points: Array) -> list[Array]:
    """Indices of the triangles ((n, 3, 2) texels), in parts whose bounding boxes hold some texels each."""
    extent = np.ptp(points, axis=1) + 1.0
    part = np.cumsum(extent[:, 0] * extent[:, 1]) // _AT_ONCE
    return np.split(np.arange(len(points)), np.flatnonzero(np.diff(part)) + 1)
