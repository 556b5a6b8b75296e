# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles whose vertices move: normals, open edges, and the nearest place on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

BLOCK = 4_000_000
"""Distances that are held in memory at once."""


LARGE = 2.0
"""Times the usual radius: triangles that are looked through apart."""


@dataclass(frozen=True)
class Nearest:
    """Where on a surface n points are nearest to it."""

    triangles: Array
    """(n,) int."""
    corners: Array
    """(n, 3) int vertices of the triangle."""
    weights: Array
    """(n, 3) float64 barycentric weights, not negative, rows sum to 1."""
    points: Array
    """(n, 3) float64, of the vertices' frame and unit."""

    def where(self, kept: Array) -> Nearest:
        """Those of a mask ((n,) bool)."""
        return Nearest(self.triangles[kept], self.corners[kept], self.weights[kept], self.points[kept])

    def sample(self, values: Array) -> Array:
        """Values per vertex ((V, ...)) interpolated to the places, (n, ...)."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        found = values[self.corners[:, 0]] * self.weights[:, 0].reshape(shape)
        for k in (1, 2):
            found += values[self.corners[:, k]] * self.weights[:, k].reshape(shape)
        return found


@dataclass(frozen=True)
class Surface:
    """How V vertices are joined. Every vertex belongs to a triangle."""

    triangles: Array
    """(T, 3) int."""
    around: Array
    """(V, m) int: the triangles of each vertex, padded by repeating the first."""
    rim: Array
    """(V,) bool: vertices on an open edge."""

    @staticmethod
    def of(triangles: Array, count: int) -> Surface:
        """The surface of `triangles` ((T, 3) int) over `count` vertices."""
        order = np.argsort(triangles, axis=None, kind="stable")
        valence = np.bincount(triangles.ravel(), minlength=count)
        first = np.cumsum(valence) - valence
        turn = np.arange(int(valence.max()))
        around = order[first[:, None] + np.where(turn < valence[:, None], turn, 0)] // 3
        edges = np.sort(
            np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
        )
        keys, times = np.unique(edges[:, 0].astype(np.int64) * count + edges[:, 1], return_counts=True)
        rim = np.zeros(count, bool)
        rim[np.concatenate([keys[times == 1] // count, keys[times == 1] % count])] = True
        return Surface(triangles, around, rim)

    def areas(self, vertices: Array) -> Array:
        """(T, 3) vectors along each triangle's normal, as long as its area."""
        a, b, c = (vertices[self.triangles[:, k]] for k in range(3))
        return 0.5 * np.cross(b - a, c - a)

    def middle(self, vertices: Array) -> Array:
        """(3,) centre of the area."""
        weights = np.linalg.norm(self.areas(vertices), axis=1)
        return np.average(vertices[self.triangles].mean(axis=1), axis=0, weights=weights)

    def normals(self, vertices: Array) -> Array:
        """(V, 3) unit normals, the mean of the triangles around weighted by area."""
        areas = np.repeat(self.areas(vertices), 3, axis=0)
        corners = self.triangles.ravel()
        total = np.stack([np.bincount(corners, areas[:, k], len(vertices)) for k in range(3)], axis=1)
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)

    def nearest(self, vertices: Array, points: Array) -> Nearest:
        """The places of the surface nearest to `points` ((n, 3)).

        They are looked for in the triangles around the nearest vertex, and in all large ones whose bounding
        sphere comes near enough: a place in a large triangle may be nearer to some other vertex.
        """
        first = self.around[nearest_rows(vertices, points)]
        row = np.repeat(np.arange(len(points)), first.shape[1])
        found = self._on_triangles(vertices, points, row, first.ravel())
        apart = np.sum((found.points - points) ** 2, axis=1)
        row, other = self._large_within(vertices, points, np.sqrt(apart))
        # Every point keeps the triangle that it has, so that each is among the candidates.
        row = np.concatenate([row, np.arange(len(points))])
        return self._on_triangles(vertices, points, row, np.concatenate([other, found.triangles]))

    def _on_triangles(self, vertices: Array, points: Array, row: Array, triangles: Array) -> Nearest:
        """The nearest place of each point among pairs of a point ((m,) `row`) and a triangle ((m,))."""
        corners = vertices[self.triangles[triangles]]
        weights = closest_weights(corners, points[row])
        places = np.einsum("mk,mkd->md", weights, corners)
        order = np.argsort(-np.sum((places - points[row]) ** 2, axis=1), kind="stable")
        best = np.zeros(len(points), np.intp)
        best[row[order]] = order  # the last to be written is the nearest
        chosen = triangles[best]
        return Nearest(chosen, self.triangles[chosen], weights[best], places[best])

    def _large_within(self, vertices: Array, points: Array, distance: Array) -> tuple[Array, Array]:
        """Pairs of a point and a large triangle that may be nearer than `distance` ((n,)): their numbers."""
        a, b, c = (vertices[self.triangles[:, k]] for k in range(3))
        middles = (a + b + c) / 3.0
        squared = np.maximum(np.sum((a - middles) ** 2, axis=1), np.sum((b - middles) ** 2, axis=1))
        radius = np.sqrt(np.maximum(squared, np.sum((c - middles) ** 2, axis=1)))
        large = np.flatnonzero(radius > LARGE * np.median(radius))
        near, middles = points.astype(np.float32), middles[large].astype(np.float32)
        squared = -2.0 * near @ middles.T
        squared += np.sum(near**2, axis=1)[:, None]
        squared += np.sum(middles**2, axis=1)
        reach = (distance[:, None] + radius[large]).astype(np.float32)
        row, which = np.nonzero(squared < reach * reach + np.float32(1e-7))
        return row, large[which]

    def on_rim(self, nearest: Nearest) -> Array:
        """(n,) bool: places on an open edge, where the nearest place says nothing about the surface."""
        return np.all(self.rim[nearest.corners] | (nearest.weights < 1e-9), axis=1)


def nearest_rows(vertices: Array, points: Array) -> Array:
    """(n,) int: the vertex nearest to each of `points` ((n, 3)), by brute force in float32."""
    middle = vertices.mean(axis=0)
    target, found = (vertices - middle).astype(np.float32), (points - middle).astype(np.float32)
    length = 0.5 * np.sum(target**2, axis=1)
    step = max(1, BLOCK // len(vertices))
    blocks = [found[i : i + step] @ target.T - length for i in range(0, len(points), step)]
    return np.concatenate([np.argmax(block, axis=1) for block in blocks])


def closest_weights(corners: Array, points: Array) -> Array:
    """Barycentric weights (..., 3) of the place of each triangle ((..., 3, 3) corners) that is nearest to
    `points` ((..., 3)): the foot of the perpendicular where it is inside, else the nearest place of an edge.
    """
    a = corners[..., 0, :]
    u, v, p = corners[..., 1, :] - a, corners[..., 2, :] - a, points - a
    uu, uv, vv, pu, pv = (np.sum(x * y, axis=-1) for x, y in ((u, u), (u, v), (v, v), (p, u), (p, v)))
    whole = np.maximum(uu * vv - uv * uv, 1e-300)
    second, third = (vv * pu - uv * pv) / whole, (uu * pv - uv * pu) / whole
    best = np.stack([1.0 - second - third, second, third], axis=-1)
    outside = np.any(best < 0.0, axis=-1)
    if not outside.any():
        return best
    uu, uv, vv, pu, pv = (x[outside] for x in (uu, uv, vv, pu, pv))
    tiny = 1e-300
    along = [
        np.clip(pu / np.maximum(uu, tiny), 0.0, 1.0),
        np.clip(pv / np.maximum(vv, tiny), 0.0, 1.0),
        np.clip((uu - uv - pu + pv) / np.maximum(uu - 2.0 * uv + vv, tiny), 0.0, 1.0),
    ]
    none = np.zeros_like(pu)
    edges = np.stack(
        [
            np.stack([1.0 - along[0], along[0], none], axis=-1),
            np.stack([1.0 - along[1], none, along[1]], axis=-1),
            np.stack([none, 1.0 - along[2], along[2]], axis=-1),
        ]
    )
    s, t = edges[..., 1], edges[..., 2]
    squared = s * s * uu + 2.0 * s * t * uv + t * t * vv - 2.0 * (s * pu + t * pv)
    best[outside] = np.take_along_axis(edges, np.argmin(squared, axis=0)[None, :, None], axis=0)[0]
    return best


def farthest_points(points: Array, count: int) -> Array:
    """(min(count, n),) rows of `points` ((n, 3)) that lie evenly: each is farthest from those before it."""
    count = min(count, len(points))
    rows = np.zeros(count, np.intp)
    distance = np.full(len(points), np.inf)
    rows[0] = np.argmin(np.sum((points - points.mean(axis=0)) ** 2, axis=1))
    for i in range(1, count):
        distance = np.minimum(distance, np.sum((points - points[rows[i - 1]]) ** 2, axis=1))
        rows[i] = np.argmax(distance)
    return rows
