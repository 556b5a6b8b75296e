# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours that pictures show on a surface nobody made a texture of: where Gaussians begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .gaussians import SH_C0
from .initial import GREY
from .splat_avatar import SplatAvatar
from .surface import HeadSurface
from .training_set import Shot

Array = np.ndarray

_LOOKED_AT = 32
"""Pictures; more tell nothing new."""
_LEAST = 0.15
"""Cosine of the angle of sight below which a triangle is not looked at."""
_SURE = 1e-3
"""Of the share of the triangle that is seen best, below which one counts as not seen."""
_RINGS = 200
"""Of triangles that colours are spread over."""


def seen_colours(shots: Sequence[Shot], surface: HeadSurface) -> Array:
    """(F, 3) sRGB 0..1 of triangles in shots that have vertices of their own: the mean of what lies over
    their middles, more where they face the camera. Where none does, the mean of the head.
    """
    total, share = np.zeros((len(surface), 3)), np.zeros(len(surface))
    for shot in shots[:: max(1, len(shots) // _LOOKED_AT)]:
        if shot.vertices is None:
            continue
        corners = shot.vertices[surface.triangles].astype(np.float64)
        middle = corners.mean(axis=1)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        sight = shot.view.centre - middle
        length = np.linalg.norm(normal, axis=1) * np.linalg.norm(sight, axis=1)
        facing = np.einsum("fi,fi->f", normal, sight) / np.maximum(length, 1e-12)
        seen = middle @ shot.view.T_view_world[:3, :3].T + shot.view.T_view_world[:3, 3]
        lens = [shot.view.fx, shot.view.fy], [shot.view.cx, shot.view.cy]
        px = np.floor(seen[:, :2] / np.maximum(seen[:, 2:], 1e-6) * lens[0] + lens[1]).astype(int)
        height, width = shot.matte8.shape
        rows = np.flatnonzero((facing > _LEAST) & np.all((px >= 0) & (px < [width, height]), axis=1))
        x, y = px[rows].T
        part = facing[rows] ** 2 * shot.matte8[y, x] * shot.weight8[y, x] / 255.0**2
        total[rows] += part[:, None] * shot.image[y, x] / 255.0
        share[rows] += part
    seen = share > _SURE * max(float(share.max()), 1e-9)
    return spread_out(total / np.maximum(share, 1e-9)[:, None], seen, surface.triangles)


def spread_out(colours: Array, seen: Array, triangles: Array) -> Array:
    """Colours (F, 3) with those of triangles that are not `seen` (F,) made of their neighbours', ring by
    ring, and evened out; grey where a part of the surface has none.
    """
    found, known = np.where(seen[:, None], colours, 0.0), seen.astype(float)
    for _ in range(_RINGS):
        count = _at_vertices(known, triangles)
        mean = np.stack([_at_vertices(known * c, triangles) for c in found.T], axis=1)
        part = count[triangles].sum(axis=1)
        around = mean[triangles].sum(axis=1) / np.maximum(part, 1e-9)[:, None]
        found = np.where(seen[:, None] | (part == 0)[:, None], found, around)
        known = np.where(part > 0, 1.0, known)
    return np.where(known[:, None] > 0, found, GREY)


def _at_vertices(values: Array, triangles: Array) -> Array:
    """(n,) the sum of values (F,) of the triangles at each vertex."""
    return np.bincount(triangles.ravel(), np.repeat(values, 3), int(triangles.max(initial=0)) + 1)


def coloured(splats: SplatAvatar, colours: Array) -> SplatAvatar:
    """The same Gaussians in colours (F, 3) of their triangles, alike from all sides."""
    gaussians = splats.gaussians
    sh = np.zeros_like(gaussians.sh)
    sh[:, 0] = (colours[gaussians.binding] - 0.5) / SH_C0
    return replace(splats, gaussians=replace(gaussians, sh=sh))
