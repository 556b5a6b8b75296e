# SPDX-License-Identifier: GPL-3.0-or-later
"""What is painted on a head before it is shown to a detector, found by geometry on any head.

A detector finds lids by lashes, the inner lips by a dark mouth, brows by dark hair above the eye. Where they
are is said in chart coordinates: places on the model's default person, origin between the eyes, one unit the
distance between them. Every person of the model carries the chart along.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...head.model import Rest
from .surface import SKIN, HeadSurface

Array = np.ndarray

BROW_ARCH = ((-0.2, 0.0, 0.35, 0.62, 1.0, 1.3), (0.27, 0.285, 0.36, 0.385, 0.26, 0.12))
"""Height of the brow's middle line along it, 0 its inner end, 1 its outer end: where the brows of the
project's own doubles grow."""
BROW_WIDTH = ((0.0, 0.15, 0.6, 1.0), (0.058, 0.075, 0.062, 0.026))
HAIRLINE = (
    (0, 10, 22, 34, 45, 54, 61, 67, 75, 82, 86, 92, 103, 110, 124, 138, 180),
    (1.16, 1.18, 1.17, 1.06, 0.93, 0.8, 0.55, 0.2, -0.42, -0.42, 0.1, 0.22, 0.2, 0.05, -0.8, -1.12, -1.2),
)
"""Degrees around the skull from the front, and the height above which hair grows."""
SKULL = (0.0, 0.3, -1.25)
RIM_WIDTH = 0.035
"""How far from the eyeball, in eye distances, skin is the rim of a lid."""


@dataclass(frozen=True)
class Paint:
    """What a picture needs to know about each vertex, and where the lips are."""

    chart: Array
    """(V, 3) float32 chart coordinates."""
    light: Array
    """(V,) float32 0..1: how much of the surroundings lights it; cavities are dark."""
    rim: Array
    """(V,) float32 0..1: 1 where lashes grow."""
    lips: Array | None = None
    """(n, 2) the border of the red of the lips, in order, from the front (chart x, y)."""


def bare_paint(rest: Rest, surface: HeadSurface, light: Array) -> Paint:
    """The paint of the default person without lips, whose place is not known before a first calibration."""
    chart = (rest.vertices - surface.centre) / surface.unit
    return Paint(chart.astype(np.float32), light, rim_cover(rest.vertices, surface))


def rim_cover(vertices: Array, surface: HeadSurface) -> Array:
    """(V,) float32: skin that touches an eyeball."""
    cover = np.zeros(len(vertices), np.float32)
    skin = surface.kind == SKIN
    for side in (0, 1):
        eye = surface.eye_side == side
        if not np.any(eye):
            continue
        centre = (vertices[eye] - surface.eye_direction[eye])[0]
        radius = np.median(np.linalg.norm(surface.eye_direction[eye], axis=1))
        gap = (np.linalg.norm(vertices - centre, axis=1) - radius) / surface.unit
        before = vertices[:, 2] > centre[2]
        cover = np.maximum(cover, skin * before * _ramp(gap, RIM_WIDTH, 0.0))
    return cover.astype(np.float32)


def brow_cover(chart: Array) -> Array:
    """(n,) 0..1: how much brow hair covers places on the chart ((n, 3))."""
    along = (np.abs(chart[:, 0]) - 0.215) / 0.70
    across = np.abs(chart[:, 1] - np.interp(along, *BROW_ARCH)) / np.interp(along, *BROW_WIDTH)
    ends = _ramp(along, -0.06, 0.16) * _ramp(along, 1.05, 0.9)
    return _ramp(across, 1.4, 0.6) * ends * (chart[:, 2] > -0.6)


def hair_cover(chart: Array) -> Array:
    """(n,) 0..1: how much hair covers places on the chart ((n, 3)); ears stay free."""
    offset = chart - np.array(SKULL)
    around = np.degrees(np.arctan2(np.abs(offset[:, 0]), offset[:, 2]))
    ear = (np.abs(chart[:, 0]) > 1.27) & (chart[:, 1] > -1.2) & (chart[:, 1] < 0.45)
    return _ramp(chart[:, 1] - np.interp(around, *HAIRLINE), -0.04, 0.06) * ~ear * (chart[:, 2] < 0.4)


def lip_cover(chart: Array, border: Array | None, soft: float = 0.02) -> Array:
    """(n,) 0..1: inside the `border` ((m, 2)) of the lips; 1 from `soft` eye distances within on."""
    cover = np.zeros(len(chart))
    if border is None:
        return cover
    low, high = border.min(axis=0) - soft, border.max(axis=0) + soft
    near = np.all((chart[:, :2] > low) & (chart[:, :2] < high), axis=1) & (chart[:, 2] > -0.6)
    cover[near] = _ramp(_depth_inside(chart[near, :2], border), -soft, soft)
    return cover


def _depth_inside(points: Array, polygon: Array) -> Array:
    """(n,) distance of points ((n, 2)) to the border of a polygon ((m, 2)), positive inside."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    edge, to_point = end - start, points[:, None] - start
    share = np.clip((to_point * edge).sum(axis=2) / (edge**2).sum(axis=1), 0, 1)
    distance = np.linalg.norm(to_point - share[..., None] * edge, axis=2).min(axis=1)
    above = points[:, None, 1] < np.maximum(start[:, 1], end[:, 1])
    crossed = above & (points[:, None, 1] >= np.minimum(start[:, 1], end[:, 1]))
    rise = np.where(edge[:, 1] == 0, 1.0, edge[:, 1])
    right = points[:, None, 0] < start[:, 0] + to_point[:, :, 1] / rise * edge[:, 0]
    inside = (crossed & right).sum(axis=1) % 2 == 1
    return np.where(inside, distance, -distance)


def _ramp(value: Array, low: float, high: float) -> Array:
    """0 at `low`, 1 at `high` (which may be the smaller), smooth between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
