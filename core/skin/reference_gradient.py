# SPDX-License-Identifier: GPL-3.0-or-later
"""Loss and gradient of the published fit: mean |BX - A|^p ^ (2/p) + alpha mean (L (BX)^T)^2.

Here X^T is (N, 4P), column d P + j is weight j times coordinate d of (rest, 1); B is (3S, 4P) with the
same columns. With p = 2 the (3S, N) residual is never formed: with Q = I + alpha L^T L all that is needed
is Q X^T, the small G = X Q X^T and products of X and B with A, which is U R with fewer rows R.
"""

from __future__ import annotations

import numpy as np

from .measure import laplacian
from .problem import Problem
from .reference_arrays import Array, Arrays

_LEFT_OUT = 1e-9
"""Share of the energy of the shapes, each of one size, that may be missing from the gradient.

Steps of Adam have one size however small a slope is, so small parts count early on: with 1e-7 the loss at
iteration 1000 is 4% higher.
"""
_BLOCK = 4_000_000
"""Numbers in a block of residuals, 16 MB."""
_TINY = 1e-30


def matrix_of(xp: Arrays, transforms: Array) -> Array:
    """(3S, 4P) B of transforms (6, S, P), which are rx, ry, rz, tx, ty, tz."""
    _, shapes, bones = transforms.shape
    rx, ry, rz = transforms[0], transforms[1], transforms[2]
    matrix = xp.zeros(shapes, 3, 4, bones)
    matrix[:, 0, 1], matrix[:, 0, 2] = -rz, ry
    matrix[:, 1, 0], matrix[:, 1, 2] = rz, -rx
    matrix[:, 2, 0], matrix[:, 2, 1] = -ry, rx
    for c in range(3):
        matrix[:, c, 3] = transforms[3 + c]
    return matrix.reshape(3 * shapes, 4 * bones)


def transform_slope(xp: Arrays, slope: Array) -> Array:
    """(6, S, P) derivative by the transforms, of the derivative (3S, 4P) by B."""
    shapes, bones = slope.shape[0] // 3, slope.shape[1] // 4
    slope = slope.reshape(shapes, 3, 4, bones)
    six = xp.empty(6, shapes, bones)
    six[0] = slope[:, 2, 1] - slope[:, 1, 2]
    six[1] = slope[:, 0, 2] - slope[:, 2, 0]
    six[2] = slope[:, 1, 0] - slope[:, 0, 1]
    for c in range(3):
        six[3 + c] = slope[:, c, 3]
    return six


class Objective:
    """The loss of a problem and its derivatives by transforms and normalised weights."""

    def __init__(self, xp: Arrays, problem: Problem, alpha: float, power: int) -> None:
        self.xp, self.power, self.count = xp, power, problem.deltas.size
        n = problem.n_vertices
        self.alpha = alpha if len(problem.pairs) else 0.0
        smooth = laplacian(problem.pairs, n)
        self.smooth, self.smooth_back = xp.sparse(smooth), xp.sparse(smooth.T.tocsr())
        self.point = xp.array(np.concatenate([problem.rest, np.ones((n, 1))], axis=1))
        self.deltas = xp.array(problem.deltas)
        self.scale = float(np.abs(problem.deltas).max(initial=0.0)) or 1.0
        """Near the largest residual, so that high powers of it neither vanish nor overflow; power not 2."""
        if power == 2:
            # Rows of one size: a small shape is then as exact, for its size, as a large one.
            reach = np.sqrt(np.einsum("an,an->a", problem.deltas, problem.deltas))[:, None]
            reach[reach == 0.0] = 1.0
            left, rows = _low_rank(problem.deltas / reach)
            self.left, self.rows = xp.array(left * reach), xp.array(np.ascontiguousarray(rows.T))

    def spread(self, weights: Array) -> Array:
        """(N, 4P) X^T of weights (N, P)."""
        bones = weights.shape[1]
        columns = self.xp.empty(len(weights), 4 * bones)
        for d in range(3):
            columns[:, d * bones : (d + 1) * bones] = weights * self.point[:, d : d + 1]
        columns[:, 3 * bones :] = weights
        return columns

    def slopes(self, transforms: Array, weights: Array) -> tuple[Array, Array]:
        """Derivatives by transforms (6, S, P) and by weights (N, P) that are used as they are."""
        matrix, columns = matrix_of(self.xp, transforms), self.spread(weights)
        squared = self.power == 2
        applied = self._applied(columns, identity=squared)
        by_matrix = matrix @ (columns.T @ applied)
        by_columns = applied @ (matrix.T @ matrix)
        if squared:
            by_matrix -= self.left @ (self.rows.T @ columns)
            by_columns -= self.rows @ (self.left.T @ matrix)
        else:
            more_matrix, more_columns = self._power_slopes(matrix, columns)
            by_matrix += more_matrix
            by_columns += more_columns
        factor = 2.0 / self.count
        return transform_slope(self.xp, by_matrix * factor), self._folded(by_columns) * factor

    def _applied(self, columns: Array, identity: bool) -> Array:
        """(N, 4P) Q X^T, Q = alpha L^T L, plus the identity if asked."""
        if not self.alpha:
            return columns if identity else columns * 0
        bent = self.smooth_back @ (self.smooth @ columns)
        bent *= self.alpha
        if identity:
            bent += columns
        return bent

    def _folded(self, slope: Array) -> Array:
        """(N, P) derivative by the weights, of the derivative (N, 4P) by X^T."""
        bones = slope.shape[1] // 4
        folded = slope[:, 3 * bones :] * 1
        for d in range(3):
            folded += slope[:, d * bones : (d + 1) * bones] * self.point[:, d : d + 1]
        return folded

    def _blocks(self, shapes3: int) -> list[slice]:
        """Blocks of rows of A."""
        step = max(1, _BLOCK // max(len(self.point), 1))
        return [slice(start, min(start + step, shapes3)) for start in range(0, shapes3, step)]

    def _power_slopes(self, matrix: Array, columns: Array) -> tuple[Array, Array]:
        """Derivatives of half the count times the power mean, by B and by X^T, through the residual."""
        by_matrix, by_columns = self.xp.zeros(*matrix.shape), self.xp.zeros(*columns.shape)
        total, largest = 0.0, 0.0
        for block in self._blocks(len(matrix)):
            ratio = (matrix[block] @ columns.T - self.deltas[block]) / self.scale
            size = abs(ratio)
            largest = max(largest, float(size.max()))
            total += float((size**self.power).sum())
            force = ratio * self.xp.clip(size, _TINY) ** (self.power - 2)
            by_matrix[block] = force @ columns
            by_columns += force.T @ matrix[block]
        if total > 0.0:
            factor = self.scale * (total / self.count) ** (2.0 / self.power - 1.0)
            by_matrix *= factor
            by_columns *= factor
        self.scale = largest * self.scale or self.scale
        return by_matrix, by_columns

    def measure(self, transforms: Array, weights: Array) -> tuple[float, float]:
        """The loss and the largest error of a component, from the residual itself."""
        matrix, columns = matrix_of(self.xp, transforms), self.spread(weights)
        total = bends = largest = 0.0
        for block in self._blocks(len(matrix)):
            made = columns @ matrix[block].T
            if self.alpha:
                bends += float(((self.smooth @ made) ** 2).sum())
            made -= self.deltas[block].T
            size = abs(made) / self.scale
            largest = max(largest, float(size.max()) * self.scale)
            total += float((size**self.power).sum())
        mean = (total / self.count) ** (2.0 / self.power) * self.scale**2
        return mean + self.alpha * bends / self.count, largest


def _low_rank(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """U (m, r) with orthonormal columns and R (r, N) with matrix = U R but for `_LEFT_OUT` of the energy."""
    # In float32 the small parts, which are asked for, would drown in the rounding of the large ones.
    gram, step = np.zeros(2 * matrix.shape[:1]), max(1, _BLOCK // max(len(matrix), 1))
    for start in range(0, matrix.shape[1], step):
        block = matrix[:, start : start + step].astype(np.float64)
        gram += block @ block.T
    energy, vectors = np.linalg.eigh(gram)
    left_out = np.cumsum(energy.clip(0.0)) <= _LEFT_OUT * energy.clip(0.0).sum()
    left_out[-1] = False
    left = np.ascontiguousarray(vectors[:, ~left_out][:, ::-1], np.float32)
    return left, left.T @ matrix
