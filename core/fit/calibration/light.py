# SPDX-License-Identifier: GPL-3.0-or-later
"""How much light reaches each place of a head: mouths, nostrils and ears are dark inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .picture import draw
from .surface import HeadSurface

Array = np.ndarray

DISTANCE = 40.0
"""Metres: so far that the rays are all but parallel."""
MARGIN = 0.0015
"""Metres that a vertex may lie behind the drawn surface and still be seen."""


def light_reaching(poses: Sequence[Array], surface: HeadSurface) -> Array:
    """(V,) float32 0..1: the share of the sky before the face that each vertex sees, in that of the `poses`
    ((V, 3) metres, head frame) that shows it best: lids fold away when they open.
    """
    return np.max([_sky_seen(vertices, surface) for vertices in poses], axis=0)


def _sky_seen(vertices: Array, surface: HeadSurface, count: int = 40, size: int = 256) -> Array:
    focal = 0.5 * size * DISTANCE / (4.6 * surface.unit)
    reached, offered = np.zeros(len(vertices)), np.full(len(vertices), 1e-9)
    for direction in _sky(count):
        turned = (vertices - surface.centre) @ _towards(direction).T - [0, 0, DISTANCE]
        shot = draw(turned, surface, focal, size)
        cosine = np.clip(shot.normals[:, 2], 0, None)
        offered += cosine
        reached += cosine * visible(shot.pixels, -shot.vertices[:, 2], shot.buffer.depth, MARGIN)
    return np.clip(0.04 + 1.1 * reached / offered, 0, 1).astype(np.float32)


def visible(pixels: Array, depth: Array, nearest: Array, margin: float) -> Array:
    """(V,) bool: at `pixels` ((V, 2)) and `depth` ((V,) metres) not hidden behind the drawn surface, of depth
    `nearest` ((H, W)), by more than `margin` metres.
    """
    place = np.floor(pixels).astype(int)
    inside = np.all((place >= 0) & (place < nearest.shape[::-1]), axis=1)
    x, y = np.clip(place, 0, np.array(nearest.shape[::-1]) - 1).T
    return inside & (depth < nearest[y, x] + margin)


def _sky(count: int) -> Array:
    """(count, 3) unit directions spread evenly over the half space before the face (Fibonacci)."""
    height = (np.arange(count) + 0.5) / count
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)


def _towards(direction: Array) -> Array:
    """(3, 3) rotation that takes `direction` to +Z, towards the camera."""
    side = np.cross([0.0, 1.0, 0.0], direction)
    side = side / max(float(np.linalg.norm(side)), 1e-9)
    return np.stack([side, np.cross(direction, side), direction])
