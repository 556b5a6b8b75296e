# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh that stands for a Gaussian head where splats cannot: to be clicked, to cast shadows.

It is the skin of the head and the eyes at rest, pushed out to where the opaque splats over it end (hair,
mostly), with its points gathered in a grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.head.atlas import EYE_LEFT, EYE_RIGHT, SKIN
from ...core.splat.playback import place
from ...core.splat.splat_avatar import SplatAvatar
from .mesh import to_blender

Array = np.ndarray

CELL = 0.012
"""Metres of the grid: about 1,500 faces."""
_OPAQUE = 0.3
_REACH = 0.8
"""Share of the splats over a triangle that its proxy covers."""
_FARTHEST = 0.15
"""Metres that hair may stand off."""
_SMOOTHED = 6
"""Times that what is pushed is averaged with its neighbours."""


def proxy_of(avatar: SplatAvatar, kept: Array | None = None) -> tuple[Array, Array]:
    """Points (n, 3) float32 metres in the head frame and triangles (F, 3) int32 of the proxy.

    kept: (rows,) bool of the surface's rows, by default all; triangles with another corner are left out.
    """
    surface = avatar.surface
    chosen = np.isin(surface.chart, (SKIN, EYE_LEFT, EYE_RIGHT))
    if kept is not None:
        chosen &= kept[surface.triangles].all(axis=1)
    triangles = surface.triangles[chosen]
    if not len(triangles):
        return surface.rest, surface.triangles
    heights = np.where(surface.chart == SKIN, splat_heights(avatar), 0.0)[chosen]
    pushed = surface.rest + _spread(heights, triangles, len(surface.rest))[:, None] * _normals(
        surface.rest, triangles
    )
    return gathered(pushed.astype(np.float32), triangles, CELL)


def splat_heights(avatar: SplatAvatar) -> Array:
    """(F,) metres that the opaque splats on each triangle reach over it at rest; 0 where there are none."""
    surface, gaussians = avatar.surface, avatar.gaussians
    resting = gaussians.basis.latent(np.zeros(52, np.float32))
    placed = place(avatar, surface.rest, resting, np.array([0.0, 0.0, 1.0], np.float32))
    frames, bound = surface.rest_frames, gaussians.binding
    over = np.einsum("ni,ni->n", placed.means - frames.middles[bound], frames.axes[bound, :, 1])
    solid = placed.opacities > _OPAQUE
    bound, over = bound[solid], over[solid]
    order = np.lexsort((over, bound))
    bound, over = bound[order], over[order]
    own, start, count = np.unique(bound, return_index=True, return_counts=True)
    heights = np.zeros(len(surface.triangles))
    heights[own] = over[start + np.floor(_REACH * (count - 1)).astype(np.int64)]
    return np.clip(heights, 0.0, _FARTHEST)


def gathered(points: Array, triangles: Array, cell: float) -> tuple[Array, Array]:
    """The triangles with their points gathered in cubes of this size, those that vanish left out."""
    used = np.unique(triangles)
    cubes = np.floor(points[used] / cell).astype(np.int64)
    own = np.unique(cubes, axis=0, return_inverse=True)[1].ravel()
    of_point = np.zeros(len(points), np.int64)
    of_point[used] = own
    count = np.bincount(own)[:, None]
    middle = np.stack([np.bincount(own, points[used][:, i]) for i in range(3)], axis=1) / count
    corners = of_point[triangles]
    a, b, c = corners.T
    corners = corners[(a != b) & (b != c) & (c != a)]
    _, first = np.unique(np.sort(corners, axis=1), axis=0, return_index=True)
    corners = corners[np.sort(first)]
    needed, flat = np.unique(corners, return_inverse=True)
    return middle[needed].astype(np.float32), flat.reshape(-1, 3).astype(np.int32)


def write_proxy(mesh: Any, points: Array, triangles: Array) -> None:
    """Make a mesh this proxy; what else it carries stays."""
    mesh.clear_geometry()
    mesh.from_pydata(to_blender(points).tolist(), [], triangles.tolist())
    mesh.shade_smooth()
    mesh.update()


def _normals(points: Array, triangles: Array) -> Array:
    a, b, c = (points[triangles[:, i]] for i in range(3))
    across = np.cross(b - a, c - a)
    total = np.stack([_sum(triangles, across[:, i], len(points)) for i in range(3)], axis=1)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def _spread(heights: Array, triangles: Array, count: int) -> Array:
    """(count,) per point, from (F,) per triangle."""
    times = np.maximum(_sum(triangles, np.ones(len(triangles)), count), 1.0)
    at = _sum(triangles, heights, count) / times
    for _ in range(_SMOOTHED):
        at = _sum(triangles, at[triangles].mean(axis=1), count) / times
    return at


def _sum(triangles: Array, values: Array, count: int) -> Array:
    """(count,) sums of what each triangle gives to its corners."""
    return np.bincount(triangles.ravel(), np.repeat(values, 3), count)
