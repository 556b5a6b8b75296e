# SPDX-License-Identifier: GPL-3.0-or-later
"""The arrays that both steps share: scaled shapes, the metric Q, and the normal equations in Gram form.

With X (4P, N) the weighted rest positions and B (3S, 4P) the transforms, E = BX - A is what is missed.
Nothing here is of the size of E but A itself and AQ; Q = I + alpha L^T L is sparse, so memory grows with
vertices times shapes and nothing grows with the square of either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem import Problem

STATIC = 1e-6
"""A vertex that no shape moves farther than this part of the largest motion of all is held to rest."""

GENERATORS = np.zeros((6, 3, 4))
"""N = sum_a b_a GENERATORS[a] for b = (rx, ry, rz, tx, ty, tz)."""
GENERATORS[0, 1, 2], GENERATORS[0, 2, 1] = -1.0, 1.0
GENERATORS[1, 0, 2], GENERATORS[1, 2, 0] = 1.0, -1.0
GENERATORS[2, 0, 1], GENERATORS[2, 1, 0] = -1.0, 1.0
GENERATORS[3:, :, 3] = np.eye(3)


@dataclass(frozen=True)
class Bases:
    """A problem without its resting vertices, in units of its own size."""

    moving: np.ndarray
    """(n,) indices of the vertices that some shape moves."""
    scale: float
    """Length of the unit: the root mean square distance of the moving vertices from the centre."""
    position: np.ndarray
    """(n, 4) float64 homogeneous rest positions."""
    shapes: np.ndarray
    """(3S, n) float32, A."""
    metric: Any
    """(n, n) scipy CSR, Q among the moving vertices. What rests misses nothing, so that leaving it out is
    exact.
    """
    shapes_metric: np.ndarray
    """(3S, n) float32, AQ."""
    energy: float
    """tr(A Q A^T)"""
    still_bone: int | None = None
    """A bone that may not move: what rests hangs on it."""

    @property
    def n_shapes(self) -> int:
        """S"""
        return self.shapes.shape[0] // 3

    def mean_loss(self, loss: float) -> float:
        """tr(E Q E^T) as the mean over the components that can be missed, in the problem's unit squared."""
        return max(loss, 0.0) / max(self.shapes.size, 1) * self.scale**2


def bases_of(problem: Problem, alpha: float, *, leave_out_still: bool = True) -> Bases:
    """Scale the problem and leave out what rests, unless there is no bone to hang it on."""
    reach = np.abs(problem.deltas).max(axis=0) if problem.n_shapes else np.zeros(problem.n_vertices)
    largest = float(reach.max(initial=0.0))
    moving = np.flatnonzero(reach > STATIC * largest if leave_out_still else reach >= 0.0)
    place = problem.rest[moving]
    scale = float(np.sqrt((place**2).sum(axis=1).mean())) if len(moving) else 1.0
    scale = scale if scale > 0.0 else max(largest, 1.0)
    shapes = problem.deltas[:, moving] / np.float32(scale)
    metric = _metric(problem, alpha, moving)
    shapes_metric = np.ascontiguousarray((metric.astype(np.float32) @ shapes.T).T)
    energy = float(np.einsum("ij,ij->", shapes, shapes_metric, dtype=np.float64))
    position = np.concatenate([place / scale, np.ones((len(moving), 1))], axis=1)
    return Bases(moving, scale, position, shapes, metric, shapes_metric, energy)


def _metric(problem: Problem, alpha: float, moving: np.ndarray) -> Any:
    """I + alpha L^T L among the moving vertices."""
    from scipy import sparse

    from ..measure import laplacian

    columns = laplacian(problem.pairs, problem.n_vertices).tocsc()[:, moving]
    metric = (sparse.identity(len(moving), format="csr") + alpha * (columns.T @ columns)).tocsr()
    metric.sort_indices()
    return metric


def spread(weights: np.ndarray, position: np.ndarray) -> np.ndarray:
    """X^T (n, 4P): the position of each vertex times each of its weights (n, P)."""
    return (weights[:, :, None] * position[:, None, :]).reshape(len(weights), -1)


def transforms_of(numbers: np.ndarray) -> np.ndarray:
    """B (3S, 4P) of the numbers (S, 6P)."""
    shapes, size = numbers.shape
    return np.einsum("spa,acd->scpd", numbers.reshape(shapes, size // 6, 6), GENERATORS).reshape(
        3 * shapes, -1
    )


def normal_equations(
    bases: Bases, spread_: np.ndarray, spread_metric: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """H (6P, 6P) that all shapes share, and g (S, 6P): what the transforms are solved from.

    `spread_` is X^T (n, 4P), `spread_metric` Q X^T.
    """
    bones = spread_.shape[1] // 4
    gram = (spread_.T @ spread_metric).reshape(bones, 4, bones, 4)
    mixed = bases.shapes_metric @ spread_.astype(np.float32)
    mixed = mixed.astype(np.float64).reshape(bases.n_shapes, 3, bones, 4)
    square = np.einsum("acd,bce,jdke->jakb", GENERATORS, GENERATORS, gram, optimize=True)
    target = np.einsum("acd,scjd->sja", GENERATORS, mixed, optimize=True)
    if bases.still_bone is not None:
        # Numbers without length are never chosen and solved to zero.
        square[bases.still_bone] = 0.0
        square[:, :, bases.still_bone] = 0.0
        target[:, bases.still_bone] = 0.0
    return square.reshape(6 * bones, 6 * bones), target.reshape(bases.n_shapes, 6 * bones)
