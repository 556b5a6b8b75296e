# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: which numbers of the transforms are kept, and their values.

With the weights at rest every shape is a least-squares problem b^T H b - 2 g^T b with the same H (6P, 6P).
Which of its numbers are not zero is chosen forwards by the gain of adding one (orthogonal least squares:
r^2 / Schur complement) and then backwards by the loss of leaving one out (optimal brain surgeon: b^2 /
diagonal of the inverse). Both are free of units: radians and metres are never compared.
"""

from __future__ import annotations

import numpy as np

from .simplex_kernels import compiled

_DEPENDENT = 1e-10
"""Columns whose remainder is below this part of their length are held to be combinations of others."""


@compiled
def forward(
    gram: np.ndarray,
    target: np.ndarray,
    start: np.ndarray,
    threshold: float,
    most: int,
    rows: np.ndarray,
    chosen: np.ndarray,
    gains: np.ndarray,
) -> int:
    """Begin with the numbers `start` and add the best until the gain is below `threshold` or there are
    `most`.

    `gram` (D, D), `target` (D,); `rows` (most, D) is room to work in; `chosen` and `gains` (most,) are the
    result.
    """
    size = target.shape[0]
    remainder = target.copy()
    length = np.empty(size)
    free = np.ones(size, np.bool_)
    for q in range(size):
        length[q] = gram[q, q]
        free[q] = length[q] > 0.0
    n = 0
    while n < most:
        best, gain = -1, threshold
        if n < start.shape[0]:
            best = start[n]
            gain = remainder[best] ** 2 / max(length[best], 1e-300)
            if not free[best] or length[best] <= _DEPENDENT * gram[best, best]:
                # Swap it to the end of what is given, so that the count stays right.
                start = np.concatenate((start[:n], start[n + 1 :]))
                continue
        else:
            for q in range(size):
                if free[q] and length[q] > _DEPENDENT * gram[q, q]:
                    this = remainder[q] ** 2 / length[q]
                    if this > gain:
                        best, gain = q, this
            if best < 0:
                break
        root = np.sqrt(length[best])
        row = rows[n]
        for q in range(size):
            row[q] = gram[best, q]
        for k in range(n):
            factor = rows[k, best]
            other = rows[k]
            for q in range(size):
                row[q] -= factor * other[q]
        part = remainder[best] / root
        for q in range(size):
            row[q] /= root
            length[q] -= row[q] * row[q]
            remainder[q] -= part * row[q]
        free[best] = False
        chosen[n], gains[n] = best, gain
        n += 1
    return n


@compiled
def backward(
    gram: np.ndarray,
    target: np.ndarray,
    chosen: np.ndarray,
    n: int,
    order: np.ndarray,
    losses: np.ndarray,
) -> None:
    """In which `order` the n chosen numbers are best left out, and the loss of each step.

    The first n of `order` are positions of `chosen`; the last of them is left out last.
    """
    inverse = np.empty((n, n))
    for a in range(n):
        for b in range(n):
            inverse[a, b] = gram[chosen[a], chosen[b]]
        inverse[a, a] *= 1.0 + 1e-12
    inverse = np.linalg.inv(inverse)
    value = np.empty(n)
    for a in range(n):
        s = 0.0
        for b in range(n):
            s += inverse[a, b] * target[chosen[b]]
        value[a] = s
    live = np.arange(n)
    for step in range(n):
        m = n - step
        at, least = 0, np.inf
        for k in range(m):
            a = live[k]
            loss = value[a] ** 2 / max(inverse[a, a], 1e-300)
            if loss < least:
                least, at = loss, k
        leave = live[at]
        order[step], losses[step] = leave, least
        live[at] = live[m - 1]
        scale = 1.0 / max(inverse[leave, leave], 1e-300)
        for k in range(m - 1):
            a = live[k]
            f = inverse[a, leave] * scale
            value[a] -= f * value[leave]
            for l in range(m - 1):  # noqa: E741
                b = live[l]
                inverse[a, b] -= f * inverse[leave, b]


@compiled
def paths(
    gram: np.ndarray,
    targets: np.ndarray,
    kept_start: np.ndarray,
    kept: np.ndarray,
    threshold: float,
    most: int,
    out_start: np.ndarray,
    out_index: np.ndarray,
    out_loss: np.ndarray,
) -> int:
    """For every shape the numbers worth having, in the order of what leaving them out costs: cheapest first.

    `kept` (CSR over shapes) are the numbers to begin with. The costs
    never fall along a shape's order, so that the dearest of all shapes together are whole ends of these
    lists. Gives how much of the output was filled, -1 when there is no room.
    """
    shapes, size = targets.shape
    rows = np.empty((most, size))
    chosen = np.empty(most, np.int64)
    gains = np.empty(most)
    order = np.empty(most, np.int64)
    losses = np.empty(most)
    filled = 0
    for s in range(shapes):
        out_start[s] = filled
        start = kept[kept_start[s] : kept_start[s + 1]]
        n = forward(gram, targets[s], start, threshold, most, rows, chosen, gains)
        if n > 0:
            backward(gram, targets[s], chosen, n, order, losses)
        if filled + n > out_index.shape[0]:
            return -1
        dearest = 0.0
        for k in range(n):
            dearest = max(dearest, losses[k])
            out_index[filled + k] = chosen[order[k]]
            out_loss[filled + k] = dearest
        filled += n
    out_start[shapes] = filled
    return filled


@compiled
def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a symmetric system in place, by Cholesky; unknowns that depend on earlier ones become zero.

    A number depends on others when its bone has lost its vertices, or moves with another.
    """
    n = right.shape[0]
    free = np.ones(n, np.bool_)
    for a in range(n):
        length = matrix[a, a]
        for b in range(a):
            if free[b]:
                s = matrix[a, b]
                for k in range(b):
                    s -= matrix[a, k] * matrix[b, k]
                matrix[a, b] = s / matrix[b, b]
            else:
                matrix[a, b] = 0.0
        rest = length
        for k in range(a):
            rest -= matrix[a, k] ** 2
        free[a] = rest > _DEPENDENT * length
        matrix[a, a] = np.sqrt(rest) if free[a] else 1.0
    for a in range(n):
        s = right[a]
        for k in range(a):
            s -= matrix[a, k] * right[k]
        right[a] = s / matrix[a, a] if free[a] else 0.0
    for a in range(n - 1, -1, -1):
        s = right[a]
        for k in range(a + 1, n):
            s -= matrix[k, a] * right[k]
        right[a] = s / matrix[a, a] if free[a] else 0.0
    return right


@compiled
def values(
    gram: np.ndarray,
    targets: np.ndarray,
    start: np.ndarray,
    index: np.ndarray,
    worst_start: np.ndarray,
    worst_vertex: np.ndarray,
    worst_weight: np.ndarray,
    weights: np.ndarray,
    position: np.ndarray,
    shapes: np.ndarray,
    out: np.ndarray,
) -> None:
    """The best values (S, D) of the kept numbers, zero elsewhere.

    `worst_*`: CSR over the shapes of the vertices that count more than once in them, and how much more;
    `weights` (n, P), `position` (n, 4) and `shapes` A (3S, n) are needed for those only.
    """
    out[:] = 0.0
    for s in range(targets.shape[0]):
        n = start[s + 1] - start[s]
        if n == 0:
            continue
        at = start[s]
        small = np.empty((n, n))
        right = np.empty(n)
        for a in range(n):
            for b in range(n):
                small[a, b] = gram[index[at + a], index[at + b]]
            right[a] = targets[s, index[at + a]]
        arm = np.empty((3, n))
        for k in range(worst_start[s], worst_start[s + 1]):
            i = worst_vertex[k]
            _arms(index[at : at + n], weights[i], position[i], arm)
            for axis in range(3):
                wanted = worst_weight[k] * shapes[3 * s + axis, i]
                for a in range(n):
                    right[a] += wanted * arm[axis, a]
                    own = worst_weight[k] * arm[axis, a]
                    if own != 0.0:
                        for b in range(n):
                            small[a, b] += own * arm[axis, b]
        found = _solved(small, right)
        for a in range(n):
            out[s, index[at + a]] = found[a]


@compiled
def _arms(index: np.ndarray, weights: np.ndarray, position: np.ndarray, arm: np.ndarray) -> None:
    """What each of the numbers `index` does to one vertex, by axis, into `arm` (3, n)."""
    x, y, z = position[0], position[1], position[2]
    for a in range(index.shape[0]):
        share = weights[index[a] // 6]
        kind = index[a] % 6
        arm[0, a], arm[1, a], arm[2, a] = 0.0, 0.0, 0.0
        if kind == 0:
            arm[1, a], arm[2, a] = -share * z, share * y
        elif kind == 1:
            arm[0, a], arm[2, a] = share * z, -share * x
        elif kind == 2:
            arm[0, a], arm[1, a] = -share * y, share * x
        else:
            arm[kind - 3, a] = share
