# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth and gums along a dental arch, in millimetres, to replace the base mesh's two plain bands."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .patch import Patch, closed_rings, flipped

Array = np.ndarray

UPPER_WIDTHS = (10.6, 8.3, 9.4, 8.7, 8.5, 12.0, 11.4)
LOWER_WIDTHS = (6.9, 7.5, 8.6, 8.7, 8.8, 13.0, 12.4)
"""Mesiodistal widths, front tooth to second molar, mm, in the source's proportions (1.25 of life)."""
UPPER_HEIGHTS = (13.0, 12.0, 12.6, 11.0, 10.4, 9.6, 9.2)
LOWER_HEIGHTS = (11.2, 11.4, 12.2, 11.0, 10.2, 9.4, 9.0)
DEPTHS = (7.4, 7.0, 8.4, 9.6, 10.0, 12.4, 12.2)
EDGES = (1.5, 1.5, 2.6, 6.6, 7.0, 9.8, 9.8)
"""Thickness at the biting edge, mm."""


def dentition(arch: Array, gum_line: Array, upper: bool) -> tuple[Patch, Patch]:
    """Teeth and gum of one jaw.

    `arch`: (n, 2) x and z of the outer face of the teeth from the middle to the back of the left side, mm.
    `gum_line`: (n,) height of the biting edge along it, mm.
    """
    widths, heights = (UPPER_WIDTHS, UPPER_HEIGHTS) if upper else (LOWER_WIDTHS, LOWER_HEIGHTS)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(arch, axis=0), axis=1))])
    scale = min(1.0, (length[-1] + 4.0) / sum(widths))
    teeth, start = None, 0.12
    for kind, width in enumerate(widths):
        middle, start = start + 0.5 * width * scale, start + width * scale
        place, normal, level = _along(arch, gum_line, length, middle)
        crown = _crown(kind, width * scale * 0.985, heights[kind], upper)
        for side in (1.0, -1.0):
            piece = _placed(crown, place, normal, level, side)
            teeth = piece if teeth is None else teeth.joined(piece)
    assert teeth is not None
    return teeth, _gum(arch, gum_line, length, widths, scale, heights, upper)


def _along(arch: Array, levels: Array, length: Array, at: float) -> tuple[Array, Array, float]:
    """Point (x, z), outward normal and biting height at arc length `at`."""
    at = min(at, length[-1] + 3.0)
    points = [np.array([_extended(t, length, arch[:, k]) for k in (0, 1)]) for t in (at - 0.8, at, at + 0.8)]
    tangent = points[2] - points[0]
    tangent /= np.linalg.norm(tangent)
    return points[1], np.array([-tangent[1], tangent[0]]), float(np.interp(at, length, levels))


def _extended(at: float, length: Array, values: Array) -> float:
    """Linear interpolation that goes on in a straight line past the last point and mirrors before the
    first.
    """
    if at > length[-1]:
        slope = (values[-1] - values[-2]) / (length[-1] - length[-2])
        return float(values[-1] + slope * (at - length[-1]))
    return (
        float(np.interp(at, length, values))
        if at >= 0
        else float(2 * values[0] - np.interp(-at, length, values))
    )


def _crown(kind: int, width: float, height: float, upper: bool) -> Patch:
    """One tooth: x along the arch, y up towards the gum (mirrored for the lower jaw), z outwards; edge at y
    = 0.
    """
    levels = np.array([0.0, 0.05, 0.16, 0.34, 0.56, 0.78, 1.0, 1.25])
    narrow = np.interp(
        levels,
        [0, 0.05, 0.3, 0.7, 1.25],
        [0.78, 0.93, 1.0, 0.9, 0.72] if kind != 2 else [0.3, 0.6, 1.0, 0.92, 0.74],
    )
    depth = np.interp(
        levels,
        [0, 0.16, 0.6, 1.25],
        [EDGES[kind] * 0.7, EDGES[kind] * 1.1, DEPTHS[kind] * 0.86, DEPTHS[kind] * 0.82],
    )
    front = (
        np.interp(levels, [0, 0.3, 0.7, 1.25], [-0.9, -0.2, 0.0, -0.9])
        if kind < 3
        else np.interp(levels, [0, 0.4, 1.25], [-1.1, 0.0, -0.8])
    )
    turn = 2 * np.pi * np.arange(12) / 12
    exponent = 2 / (2.5 if kind < 3 else 3.2)
    cross = np.c_[_power(np.cos(turn), exponent), _power(np.sin(turn), exponent)]
    rings = []
    for level, w, d, f in zip(levels, narrow, depth, front, strict=True):
        x, z = 0.5 * width * w * cross[:, 0], 0.5 * d * (cross[:, 1] - 1.0) + f
        dip = 0.35 * (x / (0.5 * width)) ** 2 if level == 0 and kind < 3 else 0.0
        rings.append(np.c_[x, np.full(12, level * height) + dip, z])
    tip = rings[0].mean(axis=0, keepdims=True)
    if kind >= 3:
        tip[0, 1] += 1.3
    points = np.concatenate([tip, *rings])
    if not upper:
        points[:, 1] *= -1
    return closed_rings(points, len(levels), 12, flip=upper)


def _power(values: Array, exponent: float) -> Array:
    return np.sign(values) * np.abs(values) ** exponent


def _placed(crown: Patch, place: Array, normal: Array, level: float, side: float) -> Patch:
    """A crown at its place on the arch of the left (`side` 1) or the right (-1) half."""
    tangent = np.array([normal[1], -normal[0]])
    x, y, z = crown.points.T
    flat = place + x[:, None] * tangent + z[:, None] * normal
    points = np.c_[flat[:, 0] * side, y + level, flat[:, 1]]
    placed = Patch(points, crown.faces, crown.uv)
    return placed if side > 0 else flipped(placed.faces, placed.uv, points)


def _gum(
    arch: Array,
    levels: Array,
    length: Array,
    widths: tuple[float, ...],
    scale: float,
    heights: tuple[float, ...],
    upper: bool,
) -> Patch:
    """A ridge along the whole arch whose edge dips around each neck."""
    sign = 1.0 if upper else -1.0
    borders = 0.12 + scale * np.concatenate([[0], np.cumsum(widths)])
    at = np.unique(np.concatenate([np.linspace(a, b, 7) for a, b in pairwise(borders)]))
    columns = []
    for t in at:
        kind = min(int(np.searchsorted(borders, t, side="right")) - 1, len(widths) - 1)
        inside = (t - borders[kind]) / (borders[kind + 1] - borders[kind])
        neck = heights[kind] * (0.83 - 0.13 * (2 * inside - 1) ** 4)
        place, normal, level = _along(arch, levels, length, t)
        width = DEPTHS[kind]
        section = np.array(
            [
                [-0.15 * width, neck - 1.2],
                [0.05 * width, neck + 0.2],
                [0.11 * width, neck + 2.2],
                [0.06 * width, neck + 6.5],
                [-0.5 * width, neck + 9.0],
                [-0.98 * width, neck + 5.0],
                [-0.97 * width, neck + 1.5],
                [-0.85 * width, neck - 0.8],
            ]
        )
        flat = place + section[:, :1] * normal
        columns.append(np.c_[flat[:, 0], sign * section[:, 1] + level, flat[:, 1]])
    left = np.array(columns)
    right = left[:0:-1] * [-1, 1, 1] if abs(left[0, 0, 0]) < 1e-9 else left[::-1] * [-1, 1, 1]
    grid = np.concatenate([right, left])
    quads, uv = [], []
    n, m = grid.shape[:2]
    for i in range(n - 1):
        for j in range(m - 1):
            quads.append([i * m + j, i * m + j + 1, (i + 1) * m + j + 1, (i + 1) * m + j])
            uv.append(
                [[i / n, j / m], [i / n, (j + 1) / m], [(i + 1) / n, (j + 1) / m], [(i + 1) / n, j / m]]
            )
    faces, corners, points = np.array(quads, np.int32), np.array(uv), grid.reshape(-1, 3)
    return flipped(faces, corners, points) if upper else Patch(points, faces, corners)
