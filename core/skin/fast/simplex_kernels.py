# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: a small quadratic w^T M w / 2 + c^T w over weights that are not negative and sum to one.

The support, which bones may have a weight, is a list; M holds a row for each of them and a column for all.
"""

from __future__ import annotations

import numpy as np

from ...cached_kernels import cached

# Division by zero gives infinity instead of a branch in every loop, and sums may be taken in any order:
# both are what lets a loop be vectorised. Infinity and NaN keep their meaning.
compiled = cached(error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})

_RIDGE = 1e-9


@compiled
def _factor(matrix: np.ndarray, n: int, chol: np.ndarray) -> None:
    """The Cholesky factor of the first n rows and columns, a little ridge on the diagonal, into `chol`."""
    trace = 0.0
    for a in range(n):
        trace += matrix[a, a]
    ridge = _RIDGE * trace / n + 1e-300
    for a in range(n):
        for b in range(a + 1):
            s = matrix[a, b]
            if a == b:
                s += ridge
            for k in range(b):
                s -= chol[a, k] * chol[b, k]
            if a == b:
                chol[a, a] = np.sqrt(max(s, ridge * 1e-3))
            else:
                chol[a, b] = s / chol[b, b]


@compiled
def solve(matrix: np.ndarray, linear: np.ndarray, n: int, out: np.ndarray, chol: np.ndarray) -> float:
    """Minimise w^T M w / 2 + c^T w under sum w = 1 over n weights; the multiplier, into `out` the weights."""
    _factor(matrix, n, chol)
    ones = 0.0
    mixed = 0.0
    # Two right-hand sides at once: y = M^-1 1 and z = M^-1 (-c).
    y = np.empty(n)
    z = np.empty(n)
    for a in range(n):
        s, t = 1.0, -linear[a]
        for k in range(a):
            s -= chol[a, k] * y[k]
            t -= chol[a, k] * z[k]
        y[a], z[a] = s / chol[a, a], t / chol[a, a]
    for a in range(n - 1, -1, -1):
        s, t = y[a], z[a]
        for k in range(a + 1, n):
            s -= chol[k, a] * y[k]
            t -= chol[k, a] * z[k]
        y[a], z[a] = s / chol[a, a], t / chol[a, a]
    for a in range(n):
        ones += y[a]
        mixed += z[a]
    multiplier = (1.0 - mixed) / ones
    for a in range(n):
        out[a] = z[a] + multiplier * y[a]
    return multiplier


@compiled
def feasible(
    hessian: np.ndarray,
    linear: np.ndarray,
    support: np.ndarray,
    w: np.ndarray,
    n: int,
    small: np.ndarray,
    c: np.ndarray,
    new: np.ndarray,
    chol: np.ndarray,
) -> tuple[int, float]:
    """Move the weights w >= 0 on `support` to the optimum there, dropping bones that reach zero on the way.

    `hessian` rows are the support's slots, its columns all bones. Gives how many bones are left and the
    multiplier.
    """
    multiplier = 0.0
    while True:
        for a in range(n):
            c[a] = linear[support[a]]
            for b in range(n):
                small[a, b] = hessian[support[a], support[b]]
        multiplier = solve(small, c, n, new, chol)
        step = 1.0
        blocking = -1
        for a in range(n):
            if new[a] < 0.0:
                t = w[a] / (w[a] - new[a])
                if t < step or blocking < 0:
                    step, blocking = min(t, step), a
        if blocking < 0 or n == 1:
            for a in range(n):
                w[a] = new[a]
            return n, multiplier
        for a in range(n):
            w[a] = max(w[a] + step * (new[a] - w[a]), 0.0)
        for a in range(blocking, n - 1):
            support[a], w[a] = support[a + 1], w[a + 1]
        n -= 1


@compiled
def objective(hessian: np.ndarray, linear: np.ndarray, support: np.ndarray, w: np.ndarray, n: int) -> float:
    """w^T M w / 2 + c^T w"""
    value = 0.0
    for a in range(n):
        row = 0.0
        for b in range(n):
            row += hessian[support[a], support[b]] * w[b]
        value += w[a] * (0.5 * row + linear[support[a]])
    return value


@compiled
def _cheapest(
    hessian: np.ndarray,
    support: np.ndarray,
    w: np.ndarray,
    n: int,
    chol: np.ndarray,
    inverse: np.ndarray,
) -> int:
    """Which of n bones at their optimum costs least to drop, when the others take over without bounds.

    The cost is w_a^2 / 2 P_aa with P = M^-1 - M^-1 1 1^T M^-1 / 1^T M^-1 1: the optimal brain surgeon
    among weights that sum to one.
    """
    for a in range(n):
        for b in range(a + 1):
            inverse[a, b] = hessian[support[a], support[b]]
    _factor(inverse, n, chol)
    # Rows of the inverse of the Cholesky factor.
    for a in range(n):
        inverse[a, a] = 1.0 / chol[a, a]
        for b in range(a):
            s = 0.0
            for k in range(b, a):
                s -= chol[a, k] * inverse[k, b]
            inverse[a, b] = s / chol[a, a]
    total = 0.0
    row_sum = np.zeros(n)
    diagonal = np.zeros(n)
    for k in range(n):
        s = 0.0
        for b in range(k + 1):
            s += inverse[k, b]
        for b in range(k + 1):
            row_sum[b] += s * inverse[k, b]
            diagonal[b] += inverse[k, b] ** 2
    for a in range(n):
        total += row_sum[a]
    best, at = np.inf, 0
    for a in range(n):
        free = diagonal[a] - row_sum[a] ** 2 / total
        cost = w[a] ** 2 / max(free, 1e-300)
        if cost < best:
            best, at = cost, a
    return at


@compiled
def drop(
    hessian: np.ndarray,
    support: np.ndarray,
    w: np.ndarray,
    n: int,
    small: np.ndarray,
    chol: np.ndarray,
) -> int:
    """Leave the cheapest bone out; the others keep their proportions. Gives how many there are now."""
    at = _cheapest(hessian, support, w, n, chol, small)
    removed = w[at]
    n -= 1
    for a in range(at, n):
        support[a], w[a] = support[a + 1], w[a + 1]
    for a in range(n):
        w[a] = w[a] / (1.0 - removed) if removed < 1.0 - 1e-9 else 1.0 / n
    return n
