# SPDX-License-Identifier: GPL-3.0-or-later
"""The left half of the head as `flatten` wants it: borders told apart, holes bridged, a wanted size for each
polygon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .model import HeadModel, Rest

Array = np.ndarray

CROWN = -0.02
"""Metres: the cut at the back runs from the collar up the midline to where the crown is this deep."""
OPEN = {"jawOpen": 0.35, "eyeWideLeft": 0.6}
"""The expression whose mouth and eye set how far lips and lids lie apart."""
SCALP = 0.27
"""Wanted magnification of the scalp; that of the cheeks is 1."""
DETAIL = (
    ((0.031, 0.012, 0.100), 0.022, 0.5),
    ((0.010, -0.058, 0.115), 0.022, 0.5),
    ((0.080, -0.010, -0.005), 0.035, 0.25),
)
"""Eye, mouth and ear: middle (metres), radius and how much larger than their surroundings they lie."""
_ON_PLANE = 1e-5


@dataclass(frozen=True)
class Hole:
    """An opening that the layout keeps open: a fan of triangles about a vertex of its own."""

    rim: Array
    """(k,) vertices around it, the surface to their right; closed in itself, or (the mouth) from lower to
    upper middle."""
    points: Array
    """(k + 1, 3) the rim as wide open as it shall lie, last the middle."""
    closed: bool


@dataclass(frozen=True)
class Half:
    """The left half of a mirror-symmetric surface, to be flattened to u >= 0."""

    rows: Array
    """(m,) row of the model of each vertex."""
    quads: Array
    """(n, 4) int vertices."""
    points: Array
    """(m, 3) float64 metres."""
    middle: Array
    """(k,) vertices that stay at u = 0, from the lower border upwards; `mouth`'s middle is m."""
    outline: Array
    """Vertices of the free border, from the upper end of `middle` around to the lower one, both included."""
    mouth: Hole
    eye: Hole
    scale: Array
    """(n,) wanted magnification of each quad."""


def head_half(model: HeadModel, rest: Rest, faces: Array, collar_front: int) -> Half:
    """The left half of the polygons `faces` ((n,) index), which end at a collar whose front is a row."""
    whole = rest.vertices.astype(np.float64)
    left = model.faces[faces]
    left = left[(whole[left][..., 0] >= -_ON_PLANE).all(axis=1)]
    rows, quads = np.unique(left, return_inverse=True)
    quads, points = quads.reshape(-1, 4), whole[rows]
    eye, outer = sorted(_borders(quads), key=len)
    on_plane = np.abs(points[:, 0]) < _ON_PLANE
    crown = min(
        (v for v in outer if on_plane[v] and points[v, 1] > 0.1), key=lambda v: abs(points[v, 2] - CROWN)
    )
    outer = np.roll(outer, -int(np.flatnonzero(outer == crown)[0]))
    turn = int(np.flatnonzero(rows[outer] == collar_front)[0])
    front = outer[turn::-1]
    away = np.flatnonzero(~on_plane[front])
    lips = front[away[0] - 1 : away[-1] + 2]
    opened = _opened(model, rest)[rows]
    middle = front[on_plane[front]]
    below = int(np.flatnonzero(middle == lips[0])[0]) + 1
    return Half(
        rows,
        quads,
        points,
        np.insert(middle, below, len(rows)),
        np.concatenate([outer[:1], outer[: turn - 1 : -1]]),
        _hole(lips, opened, closed=False),
        _hole(eye[::-1], opened, closed=True),
        wanted_scale(points[quads].mean(axis=1)),
    )


def wanted_scale(points: Array) -> Array:
    """(n,) magnification at points ((n, 3) metres, left half): the face almost four times the scalp, lids and
    lips more, the lower neck less.
    """
    angle = np.degrees(np.arctan2(points[:, 0], points[:, 2]))
    face = _rise(angle, 118, 50) * _rise(points[:, 1], 0.125, 0.07) * _rise(points[:, 1], -0.14, -0.095)
    under_chin = _rise(points[:, 1], -0.09, -0.10) * _rise(points[:, 2], 0.10, 0.03)
    neck = _rise(points[:, 1], -0.09, -0.15)
    scale = SCALP + (1 - SCALP) * face * (1 - 0.8 * under_chin) - 0.15 * SCALP * neck
    for centre, radius, more in DETAIL:
        scale *= 1 + more * np.exp(-np.sum((points - np.array(centre)) ** 2, axis=1) / radius**2)
    return scale


def _rise(values: Array, start: float, stop: float) -> Array:
    share = np.clip((values - start) / (stop - start), 0, 1)
    return share * share * (3 - 2 * share)


def _opened(model: HeadModel, rest: Rest) -> Array:
    weights = np.zeros(model.expression.count, np.float32)
    for name, weight in OPEN.items():
        weights[model.expression_index[name]] = weight
    return model.expressed(rest, weights).astype(np.float64)


def _hole(rim: Array, points: Array, closed: bool) -> Hole:
    around = points[rim]
    middle = around.mean(axis=0) if closed else (around[0] + around[-1]) / 2
    return Hole(rim, np.concatenate([around, middle[None]]), closed)


def _borders(quads: Array) -> list[Array]:
    """Each border as its vertices in order, the surface to their left."""
    edges = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
    codes = np.sort(edges, axis=1) @ np.array([1 << 20, 1])
    _, first, count = np.unique(codes, return_index=True, return_counts=True)
    after = dict(edges[first[count == 1]].tolist())
    loops = []
    while after:
        loop = [next(iter(after))]
        while loop[-1] in after:
            loop.append(after.pop(loop[-1]))
        loops.append(np.array(loop[:-1]))
    return loops
