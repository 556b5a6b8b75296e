# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts garments out of the body suit ("tights") of the head model along smooth lines.

A garment's pattern is drawn once, on the model's default person, as a signed distance that is positive
where there is cloth. Polygons that the pattern's border crosses are split, so necks, sleeves and hems are
clean lines
whatever the mesh's own edges do. Every vertex of the cut mesh is a mix of two model rows, hence it fits
every identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

_SNAP = 0.22
"""A border that passes closer than this share of an edge to a vertex moves the vertex instead of leaving a
sliver."""


@dataclass(frozen=True)
class Piece:
    """Cut surface: vertex i is `(1 - share[i]) * row first[i] + share[i] * row second[i]` of the model."""

    first: Array
    second: Array
    share: Array
    polygons: list[list[int]]
    depth: Array
    """(n,) pattern value: metres from the nearest border of the garment."""

    def mix(self, values: Array) -> Array:
        """Any per-row values ((V, ...)) at the vertices of the piece."""
        share = self.share.reshape(-1, *([1] * (values.ndim - 1)))
        return (1.0 - share) * values[self.first] + share * values[self.second]


def whole(faces: Array, depth: Array) -> Piece:
    """All polygons ((n, 4) rows, -1 last for a triangle) as an uncut piece. `depth`: (V,) pattern values."""
    rows = np.unique(faces[faces >= 0])
    new = np.zeros(int(rows.max()) + 2, np.int64)
    new[rows] = np.arange(len(rows))
    polygons = [[int(new[row]) for row in face if row >= 0] for face in faces]
    return Piece(rows, rows, np.zeros(len(rows)), polygons, depth[rows].astype(np.float64))


def split(piece: Piece, level: float) -> Piece:
    """Put edges along the line where the pattern has the value `level`; both sides stay."""
    piece = _snapped(piece, level)
    above = piece.depth - level
    made: dict[tuple[int, int], int] = {}
    first, second, share, depth = (
        list(column) for column in (piece.first, piece.second, piece.share, piece.depth)
    )

    def crossing(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in made:
            t = above[key[0]] / (above[key[0]] - above[key[1]])
            mixed = _between(piece, key[0], key[1], float(t))
            made[key] = len(first)
            for column, value in zip((first, second, share, depth), (*mixed, level), strict=True):
                column.append(value)
        return made[key]

    polygons: list[list[int]] = []
    for polygon in piece.polygons:
        polygons += _split_polygon(polygon, above, crossing)
    return Piece(np.array(first), np.array(second), np.array(share), polygons, np.array(depth))


def kept(piece: Piece, level: float) -> Piece:
    """Only the polygons whose pattern values are nowhere below `level`; vertices renumbered."""
    inside = piece.depth >= level - 1e-9
    polygons = [polygon for polygon in piece.polygons if all(inside[v] for v in polygon)]
    used = np.unique([v for polygon in polygons for v in polygon]).astype(np.int64)
    new = np.full(len(piece.first), -1)
    new[used] = np.arange(len(used))
    renumbered = [[int(new[v]) for v in polygon] for polygon in polygons]
    return Piece(piece.first[used], piece.second[used], piece.share[used], renumbered, piece.depth[used])


def _split_polygon(polygon: list[int], above: Array, crossing) -> list[list[int]]:
    """A convex polygon in one or two parts, cut where `above` changes sign."""
    values = [above[v] for v in polygon]
    if min(values) >= 0.0 or max(values) <= 0.0:
        return [polygon]
    parts: tuple[list[int], list[int]] = ([], [])
    for i, (v, value) in enumerate(zip(polygon, values, strict=True)):
        following, next_value = polygon[(i + 1) % len(polygon)], values[(i + 1) % len(polygon)]
        if value >= 0.0:
            parts[0].append(v)
        if value <= 0.0:
            parts[1].append(v)
        if value * next_value < 0.0:
            cut = crossing(v, following)
            parts[0].append(cut)
            parts[1].append(cut)
    return [part for part in parts if len(part) >= 3]


def _between(piece: Piece, a: int, b: int, t: float) -> tuple[int, int, float]:
    """The mix at `t` between two vertices, as two rows; a vertex that is a mix itself counts as its nearer
    row.
    """
    row_a = piece.first[a] if piece.share[a] < 0.5 else piece.second[a]
    row_b = piece.first[b] if piece.share[b] < 0.5 else piece.second[b]
    if piece.share[a] == 0.0 and piece.share[b] == 0.0:
        return int(row_a), int(row_b), t
    for mixed in (v for v in (a, b) if piece.share[v] > 0.0):
        low, high = int(piece.first[mixed]), int(piece.second[mixed])
        start, stop = (_place_on(piece, v, low, high) for v in (a, b))
        if start is not None and stop is not None:
            return low, high, (1.0 - t) * start + t * stop
    return int(row_a), int(row_b), t


def _place_on(piece: Piece, vertex: int, low: int, high: int) -> float | None:
    """Where a vertex lies on the edge low-high (0..1), None when it does not."""
    if piece.share[vertex] == 0.0:
        return {low: 0.0, high: 1.0}.get(int(piece.first[vertex]))
    return float(piece.share[vertex]) if (piece.first[vertex], piece.second[vertex]) == (low, high) else None


def _snapped(piece: Piece, level: float) -> Piece:
    """Vertices that the line nearly meets, moved onto it along one of their edges."""
    above = piece.depth - level
    best: dict[int, tuple[float, int]] = {}
    for polygon in piece.polygons:
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            for v, other in ((a, b), (b, a)):
                if above[v] * above[other] < 0.0 and piece.share[v] == 0.0 and piece.share[other] == 0.0:
                    t = above[v] / (above[v] - above[other])
                    if t < min(_SNAP, best.get(v, (1.0, 0))[0]):
                        best[v] = (float(t), other)
    second, share, depth = piece.second.copy(), piece.share.copy(), piece.depth.copy()
    for vertex, (t, other) in best.items():
        second[vertex], share[vertex], depth[vertex] = piece.first[other], t, level
    return Piece(piece.first, second, share, piece.polygons, depth)
