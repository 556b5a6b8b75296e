# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyebrows: short hairs that lie on the brow and lean from the nose to the temple."""

from __future__ import annotations

from typing import Any

import numpy as np

from .double import Double
from .hair_strands import Strands, tapered
from .hair_surface import Skin
from .materials.masks import brow_coordinates

Array = np.ndarray

POINTS = 5
_SHOWN = "likeness_shown"


def grow_brows(skin: Skin, density: Array, count: int, fullness: float) -> Strands:
    """Both eyebrows, `count` hairs in all, rooted where `density` ((V,)) is."""
    roots = skin.roots(density**1.6, count, seed=21)
    along, across = brow_coordinates(roots.places)
    rng = np.random.default_rng(22)
    directions = _lean(along, across, np.sign(roots.places[:, 0]), rng)
    tangent = directions - (directions * roots.normals).sum(axis=1, keepdims=True) * roots.normals
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    length = np.interp(along, [0.0, 0.2, 0.6, 1.0], [0.0062, 0.0085, 0.0085, 0.0055]) * rng.uniform(
        0.6, 1.1, len(roots)
    )
    collider = skin.collider()
    lines = [roots.points - 0.0004 * roots.normals]
    for i in range(1, POINTS):
        share = i / (POINTS - 1)
        point = lines[-1] + (length / (POINTS - 1))[:, None] * tangent
        lines.append(
            collider.lie_on(
                point, 0.0002 + 0.0007 * np.sin(np.pi * 0.75 * share) * rng.uniform(0.5, 1.2, len(roots))
            )
        )
    points = np.stack(lines, axis=1)
    return Strands(points, tapered(len(roots), POINTS, 0.00005 * fullness, 0.15, 23), roots.uv)


def _lean(along: Array, across: Array, side: Array, rng: np.random.Generator) -> Array:
    """Up at the inner end, outwards from there, the upper row a little down, the lower row up."""
    angle = np.radians(np.interp(along, [-0.1, 0.08, 0.3, 0.65, 1.0], [60, 48, 26, 8, -22]))
    angle += np.clip(-across / 0.1, -1, 1) * np.radians(24) * np.clip(along * 3, 0, 1) + rng.normal(
        0, 0.16, len(along)
    )
    return np.stack([side * np.cos(angle), np.sin(angle), -0.25 * np.clip(along, 0, 1)], axis=1)


def show_brows(double: Double, show: bool) -> None:
    """Show or hide the brow hairs when that changes; what a person hid by hand stays hidden."""
    brows: Any = double.part("brows")
    if brows is not None and bool(brows.get(_SHOWN, True)) != show:
        brows.hide_viewport = brows.hide_render = not show
        brows[_SHOWN] = show
