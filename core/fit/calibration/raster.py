# SPDX-License-Identifier: GPL-3.0-or-later
"""A small z-buffer rasteriser in numpy: which triangle is seen at each pixel, and where on it.

All triangles are drawn at once: every triangle is laid out into the pixels of its bounding box, pixels
outside are dropped, and the nearest of those that remain wins. A head of 20,000 triangles in 512 x 512 takes
a tenth of a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Buffer:
    """What a picture of size (H, W) shows at each pixel's centre."""

    triangle: Array
    """(H, W) int32 index of the triangle, -1 where there is none."""
    weights: Array
    """(H, W, 3) float32 barycentric weights on it, perspective corrected; 0 where there is none."""
    depth: Array
    """(H, W) float32 metres before the camera, inf where there is none."""

    @property
    def covered(self) -> Array:
        """(H, W) bool: a triangle is seen."""
        return self.triangle >= 0

    def sample(self, triangles: Array, values: Array) -> Array:
        """Vertex values ((V, C)) at the covered pixels, (n, C), in the order of `covered`'s True pixels."""
        seen = self.covered
        corners = values[triangles[self.triangle[seen]]]
        return np.einsum("nk,nkc->nc", self.weights[seen], corners)


def rasterise(
    pixels: Array, depth: Array, triangles: Array, size: tuple[int, int], *, cull: bool = True
) -> Buffer:
    """Draw `triangles` ((F, 3) int) with corners at `pixels` ((V, 2), x right, y down, from the corner of the
    first pixel) and `depth` ((V,) metres before the camera) into a picture of `size` (height, width).

    Triangles that reach behind the camera are left out, and with `cull` those whose back is seen (their
    corners run clockwise in the picture).
    """
    corners = pixels[triangles].astype(np.float64)
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    drawn = (np.abs(area) > 1e-12) & np.all(depth[triangles] > 1e-6, axis=1)
    if cull:
        drawn &= area < 0
    chosen = np.flatnonzero(drawn)
    chosen, x, y = _candidates(corners, chosen, size)
    centre = np.stack([x + 0.5, y + 0.5], axis=1)
    a, b, c = (corners[chosen, k] for k in range(3))
    flat = np.stack([_cross(b - centre, c - centre), _cross(c - centre, a - centre)], axis=1)
    flat /= area[chosen, None]
    flat = np.column_stack([flat, 1.0 - flat.sum(axis=1)])
    inside = np.all(flat >= -1e-9, axis=1)
    chosen, x, y, flat = chosen[inside], x[inside], y[inside], flat[inside]
    scaled = flat / depth[triangles[chosen]]
    nearness = scaled.sum(axis=1)
    order = np.argsort(nearness, kind="stable")  # the nearest comes last and stays
    winner = np.full(size, -1, np.int64)
    winner[y[order], x[order]] = order
    return _buffer(winner, chosen, scaled / nearness[:, None], 1.0 / nearness)


def _cross(a: Array, b: Array) -> Array:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _candidates(corners: Array, chosen: Array, size: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Each chosen triangle with every pixel (x, y) whose centre its bounding box holds."""
    limit = np.array([size[1], size[0]])
    low = np.clip(np.ceil(corners[chosen].min(axis=1) - 0.5), 0, limit).astype(np.int64)
    high = np.clip(np.floor(corners[chosen].max(axis=1) - 0.5) + 1, 0, limit).astype(np.int64)
    extent = np.maximum(high - low, 0)
    count = extent[:, 0] * extent[:, 1]
    owner = np.repeat(np.arange(len(chosen)), count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    width = extent[owner, 0]
    return chosen[owner], low[owner, 0] + place % width, low[owner, 1] + place // width


def _buffer(winner: Array, triangle: Array, weights: Array, depth: Array) -> Buffer:
    seen = winner >= 0
    result = Buffer(
        np.full(winner.shape, -1, np.int32),
        np.zeros((*winner.shape, 3), np.float32),
        np.full(winner.shape, np.inf, np.float32),
    )
    result.triangle[seen] = triangle[winner[seen]]
    result.weights[seen] = weights[winner[seen]]
    result.depth[seen] = depth[winner[seen]]
    return result
