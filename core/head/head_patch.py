# SPDX-License-Identifier: GPL-3.0-or-later
"""The piece of the body's surface that shows a person's face: head and neck down to the collar.

Without the eye sockets and the mouth's lining, which are pieces of their own in the model's UV. The surface
is a mirror image of itself about x = 0 and no polygon crosses that plane, so its left half tells all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from .components import components
from .model import HeadModel

Array = np.ndarray

COLLAR = -0.215
"""Metres: the collar runs along the lowest ring around the neck whose front is above this."""
_ON_PLANE = 1e-5


@dataclass(frozen=True)
class HeadPatch:
    """Polygons and the ring they end at."""

    faces: Array
    """(n,) index of polygons of the model."""
    lining: Array
    """(m,) index of the polygons of the mouth's lining."""
    sockets: Array
    """(s,) index of the polygons of both eye sockets."""
    collar: Array
    """(k,) rows along the ring, the left half from the front to the back, then the right one."""


def head_patch(model: HeadModel, points: Array) -> HeadPatch:
    """Find it on the rest vertices `points` ((V, 3) metres, head frame)."""
    body = model.part_faces("body")
    faces = model.faces[body]
    piece = _uv_pieces(model.uv[body])
    collar = _collar(faces, points)
    pairs = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2)
    other = _mirrored(model, points, collar)
    ring = _edge_codes(np.concatenate([_pairs_along(collar), _pairs_along(other)]), len(points))
    sockets, lining = _inner_pieces(faces, piece, points)
    codes = _edge_codes(pairs.reshape(-1, 2), len(points)).reshape(len(faces), 4)
    open_edge = ~np.isin(codes, ring)
    inside = np.isin(piece, [*sockets, lining])
    reach = _reach(codes, open_edge & ~inside[:, None])
    nose = int(np.argmax(np.where(points[faces, 1].min(axis=1) > COLLAR, points[faces, 2].max(axis=1), -1)))
    found = reach == reach[nose]
    return HeadPatch(
        body[found], body[piece == lining], body[np.isin(piece, sockets)], np.concatenate([collar, other])
    )


def _uv_pieces(uv: Array) -> Array:
    """(n,) number of the piece of the model's own UV ((n, 4, 2)) each polygon is in."""
    whole = np.rint(uv * 65536).astype(np.int64) @ np.array([1 << 20, 1])
    corner = np.unique(whole, return_inverse=True)[1].reshape(-1, 4)
    return components(int(corner.max()) + 1, corner)[corner[:, 0]]


def _inner_pieces(faces: Array, piece: Array, points: Array) -> tuple[list[int], int]:
    """The two eye sockets and the mouth's lining: the pieces that are small and lie within the head."""
    boxes = {}
    for number in np.unique(piece):
        own = points[faces[piece == number]].reshape(-1, 3)
        boxes[int(number)] = (own.min(axis=0), own.max(axis=0))
    within = [n for n, (low, high) in boxes.items() if low[1] > -0.15 and np.all(np.abs([low, high]) < 0.13)]
    central = [n for n in within if boxes[n][0][0] * boxes[n][1][0] < 0 and np.ptp(boxes[n], axis=0)[0] < 0.1]
    sides = [n for n in within if boxes[n][0][0] * boxes[n][1][0] > 0]
    if len(central) != 1 or len(sides) != 2:
        raise ModelError("The head model's UV does not set eye sockets and mouth apart.")
    return sides, central[0]


def _collar(faces: Array, points: Array) -> Array:
    """Rows along the lowest ring of edges around the neck, from the front midline to the back one, on the
    left.
    """
    around = _neighbours(faces)
    middle = np.flatnonzero(np.abs(points[:, 0]) < _ON_PLANE)
    low = [
        int(v) for v in middle if COLLAR < points[v, 1] < -0.12 and points[v, 2] > 0.02 and int(v) in around
    ]
    for start in sorted(low, key=lambda v: points[v, 1]):
        side = max(around[start], key=lambda v: points[v, 0])
        path = [start, side]
        while abs(points[path[-1], 0]) > _ON_PLANE and len(path) < 60:
            ahead = _straight_on(around, path[-1], path[-2])
            if ahead is None:
                break
            path.append(ahead)
        if abs(points[path[-1], 0]) < _ON_PLANE and points[path[-1], 2] < 0:
            return np.array(path)
    raise ModelError("The head model has no ring of edges around the neck.")


def _neighbours(faces: Array) -> dict[int, dict[int, set[int]]]:
    """For each vertex its neighbours, each with the vertices of the (two) polygons at that edge."""
    around: dict[int, dict[int, set[int]]] = {}
    for face in faces.tolist():
        for k, vertex in enumerate(face):
            for other in (face[k - 1], face[(k + 1) % len(face)]):
                around.setdefault(vertex, {}).setdefault(other, set()).update(face)
    return around


def _straight_on(around: dict[int, dict[int, set[int]]], at: int, before: int) -> int | None:
    """The neighbour across a vertex of four edges."""
    if len(around[at]) != 4:
        return None
    ahead = [v for v in around[at] if v not in around[at][before]]
    return ahead[0] if len(ahead) == 1 else None


def _pairs_along(path: Array) -> Array:
    return np.stack([path[:-1], path[1:]], axis=1)


def _mirrored(model: HeadModel, points: Array, path: Array) -> Array:
    """(k,) the rows of a path on the other side."""
    rows = model.part_vertices("body")
    return np.array(
        [rows[np.argmin(np.linalg.norm(points[rows] - points[v] * [-1, 1, 1], axis=1))] for v in path]
    )


def _edge_codes(pairs: Array, count: int) -> Array:
    low, high = pairs.min(axis=1).astype(np.int64), pairs.max(axis=1)
    return low * count + high


def _reach(codes: Array, passable: Array) -> Array:
    """(n,) a number per polygon, equal for those joined by edges ((n, 4) codes) that can be passed."""
    edges = np.unique(codes, return_inverse=True)[1].reshape(codes.shape) + len(codes)
    own = np.broadcast_to(np.arange(len(codes))[:, None], codes.shape)
    links = np.stack([own[passable], edges[passable]], axis=1)
    return components(int(edges.max()) + 1, np.concatenate([links, links[:, ::-1]]))[: len(codes)]
