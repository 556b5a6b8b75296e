# SPDX-License-Identifier: GPL-3.0-or-later
"""Flatten half of a mirror-symmetric surface so that its mirror image completes it: no fold, no overlap, and
each polygon as near as can be to a wanted size.

First Tutte's embedding in a convex outline (no polygon is turned over: W. T. Tutte, "How to draw a graph",
1963), then Newton's method on the symmetric Dirichlet energy (Smith and Schaefer, "Bijective parameterization
with free boundaries", 2015), which is infinite for a polygon without area, so none turns over on the way.
Runs when the layout is compiled. Needs scipy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .head_half import Half, Hole

Array = np.ndarray

CORNERS = np.array([[0, 1, 2], [0, 2, 3], [0, 1, 3], [1, 2, 3]])
"""Both ways to cut a quad in two: where none of the four turns over, the quad is convex."""


HOLE_WEIGHT = 0.3
"""How much an opening resists to change its shape, compared with skin."""


def tutte(half: Half) -> Array:
    """(m + 2, 2) an embedding of the half in a half disc; last the middles of mouth and eye."""
    from scipy import sparse
    from scipy.sparse.linalg import splu

    size = len(half.points) + 2
    pairs = [np.stack([half.quads[:, k], half.quads[:, (k + 1) % 4]], axis=1) for k in range(4)]
    for middle, hole in ((size - 2, half.mouth), (size - 1, half.eye)):
        pairs.append(np.stack([hole.rim, np.full(len(hole.rim), middle)], axis=1))
    pairs = np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)
    place = np.full((size, 2), np.nan)
    steps = np.linalg.norm(np.diff(half.points[half.outline], axis=0), axis=1)
    turn = np.pi * (0.5 - np.concatenate([[0], np.cumsum(steps)]) / steps.sum())
    place[half.outline] = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    place[half.middle] = np.stack([0 * half.middle, np.linspace(-1, 1, len(half.middle))], axis=1)
    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (size, size)).tocsr()
    graph = graph + graph.T
    laplace = (sparse.diags(np.asarray(graph.sum(axis=1)).ravel()) - graph).tocsr()
    free = np.isnan(place[:, 0])
    place[free] = splu(laplace[free][:, free].tocsc()).solve(-(laplace[free][:, ~free] @ place[~free]))
    return place


class Flattening:
    """The energy of a flattened half and its minimum."""

    def __init__(self, half: Half) -> None:
        self.count = len(half.points) + 2
        corners = half.quads[:, CORNERS].reshape(-1, 3)
        self.triangles, rest = [corners], [half.points[corners] * np.repeat(half.scale, 4)[:, None, None]]
        for middle, hole in ((self.count - 2, half.mouth), (self.count - 1, half.eye)):
            fan, points = _fan(hole)
            own = np.isin(half.quads, hole.rim).any(axis=1)
            self.triangles.append(np.append(hole.rim, middle)[fan])
            rest.append(points[fan] * half.scale[own].mean())
        weight = np.repeat([0.5, HOLE_WEIGHT], [len(rest[0]), len(rest[1]) + len(rest[2])])
        self.triangles, rest = np.concatenate(self.triangles), np.concatenate(rest)
        inverse, area = _rest_frames(rest)
        self.weight = weight * area
        free = np.ones((self.count, 2), bool)
        free[half.middle, 0] = False
        free[half.middle[0], 1] = False
        self.free = np.flatnonzero(free.ravel())
        self.gather = _gather(inverse)
        self.index = (2 * self.triangles[:, :, None] + np.arange(2)).reshape(-1, 6)

    def energy(self, uv: Array) -> float:
        """Infinite where a triangle is turned over."""
        f = self._maps(uv)
        area = f[:, 0] * f[:, 3] - f[:, 1] * f[:, 2]
        if area.min() <= 0:
            return np.inf
        return float(self.weight @ (np.sum(f * f, axis=1) * (1 + area**-2)))

    def minimise(self, uv: Array, most: int, progress: Callable[[float], None] = lambda _: None) -> Array:
        """(m, 2) from a start without folds."""
        energy = self.energy(uv)
        for step in range(most):
            direction = self._newton(uv)
            length = min(1.0, 0.9 * self._free_length(uv, direction))
            trial = self.energy(uv + length * direction)
            while not trial < energy and length > 1e-12:
                length *= 0.5
                trial = self.energy(uv + length * direction)
            if not trial < energy:
                return uv
            uv = uv + length * direction
            gained, energy = (energy - trial) / energy, trial
            progress(step / most)
            if gained < 1e-7:
                return uv
        return uv

    def _maps(self, uv: Array) -> Array:
        """(t, 4): the columns of each triangle's map from its rest."""
        return np.einsum("tij,tj->ti", self.gather, uv.ravel()[self.index])

    def _newton(self, uv: Array) -> Array:
        from scipy import sparse
        from scipy.sparse.linalg import splu

        f = self._maps(uv)
        gradient, hessian = _derivatives(f)
        values, vectors = np.linalg.eigh(hessian)
        hessian = np.einsum("tij,tj,tkj->tik", vectors, np.maximum(values, 0.0), vectors)
        local = np.einsum("tji,tjk,tkl->til", self.gather, hessian * self.weight[:, None, None], self.gather)
        slope = np.einsum("tji,tj->ti", self.gather, gradient * self.weight[:, None])
        size = 2 * self.count
        total = np.bincount(self.index.ravel(), slope.ravel(), size)
        rows = np.repeat(self.index, 6, axis=1).ravel()
        columns = np.tile(self.index, (1, 6)).ravel()
        matrix = sparse.coo_matrix((local.ravel(), (rows, columns)), (size, size)).tocsr()
        matrix = matrix[self.free][:, self.free]
        ridge = 1e-9 * matrix.diagonal().mean() * sparse.identity(len(self.free))
        result = np.zeros(size)
        result[self.free] = splu((matrix + ridge).tocsc()).solve(-total[self.free])
        return result.reshape(-1, 2)

    def _free_length(self, uv: Array, direction: Array) -> float:
        """How far one can go before a triangle loses its area: the least root of a quadratic each."""
        p, d = uv[self.triangles], direction[self.triangles]
        e, g = p[:, 1:] - p[:, :1], d[:, 1:] - d[:, :1]
        c = _cross(e[:, 0], e[:, 1])
        b = _cross(e[:, 0], g[:, 1]) + _cross(g[:, 0], e[:, 1])
        a = _cross(g[:, 0], g[:, 1])
        inside = np.maximum(b * b - 4 * a * c, 0.0)
        real = b * b - 4 * a * c >= 0
        # The stable form; with c > 0 the least positive root is this one.
        with np.errstate(divide="ignore", invalid="ignore"):
            root = 2 * c / (-b + np.sqrt(inside))
        root = root[real & np.isfinite(root) & (root > 0)]
        return float(root.min()) if len(root) else np.inf


def _cross(a: Array, b: Array) -> Array:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _fan(hole: Hole) -> tuple[Array, Array]:
    """Triangles ((t, 3), the middle is last) and points ((k + 1, 3)) that close an opening."""
    count = len(hole.rim)
    at = np.arange(count if hole.closed else count - 1)
    return np.stack([at, (at + 1) % count, np.full(len(at), count)], axis=1), hole.points


def _gather(inverse: Array) -> Array:
    """(t, 4, 6): from the places of a triangle's corners (x, y of each) to the columns of its map."""
    slope = np.stack([-inverse.sum(axis=1), inverse[:, 0], inverse[:, 1]], axis=1)
    result = np.zeros((len(inverse), 4, 6))
    for corner in range(3):
        for column in range(2):
            for axis in range(2):
                result[:, 2 * column + axis, 2 * corner + axis] = slope[:, corner, column]
    return result


def _rest_frames(corners: Array) -> tuple[Array, Array]:
    """Inverse edge matrices ((t, 2, 2)) and areas ((t,)) of triangles ((t, 3, 3)) laid flat."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    long = np.linalg.norm(a, axis=1)
    x = np.sum(a * b, axis=1) / long
    y = np.linalg.norm(np.cross(a, b), axis=1) / long
    flat = np.stack([np.stack([long, x], axis=1), np.stack([np.zeros(len(x)), y], axis=1)], axis=1)
    return np.linalg.inv(flat), 0.5 * long * y


def _derivatives(f: Array) -> tuple[Array, Array]:
    """Gradient ((t, 4)) and Hessian ((t, 4, 4)) of |J|^2 + |J^-1|^2 by the columns of J."""
    second = np.array([[0, 0, 0, 1], [0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0]], float)
    squares = np.sum(f * f, axis=1)[:, None]
    turned = f @ second
    area = 0.5 * np.sum(turned * f, axis=1)[:, None]
    gradient = 2 * (1 + area**-2) * f - 2 * squares * area**-3 * turned
    mixed = f[:, :, None] * turned[:, None, :]
    hessian = 2 * (1 + area**-2)[..., None] * np.eye(4)
    hessian = hessian - 4 * (area**-3)[..., None] * (mixed + mixed.transpose(0, 2, 1))
    hessian += 6 * (squares * area**-4)[..., None] * turned[:, :, None] * turned[:, None, :]
    hessian -= 2 * (squares * area**-3)[..., None] * second
    return gradient, hessian
