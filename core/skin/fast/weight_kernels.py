# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: weights of one vertex after the other, each solved exactly while the others rest.

The objective is tr(E Q E^T) with E = BX - A and Q = I + alpha L^T L. While all other vertices rest it is a
quadratic in the weights w of one vertex, with the Hessian M[j, l] = Q_ii v^T (B_j^T B_l) v, where B_j are
the four columns of bone j and v = (x, y, z, 1). It is solved under w >= 0, sum w = 1 and at most K
non-zeros by an active set that adds, drops and exchanges bones as long as that pays.
"""

from __future__ import annotations

import numpy as np

from .simplex_kernels import compiled, drop, feasible, objective

_LEAST_GAIN = 1e-12


@compiled
def sweep(
    order: np.ndarray,
    position: np.ndarray,
    gram: np.ndarray,
    q_start: np.ndarray,
    q_column: np.ndarray,
    q_value: np.ndarray,
    gradient: np.ndarray,
    support: np.ndarray,
    weight: np.ndarray,
    count: np.ndarray,
    most: int,
    exchanges: int,
    worst_start: np.ndarray,
    worst_shape: np.ndarray,
    worst_weight: np.ndarray,
    transforms: np.ndarray,
    shapes: np.ndarray,
) -> float:
    """One pass over the vertices in `order`; the decrease of half the objective.

    `position` (N, 4), `gram` (4P, 4P) B^T B, Q as CSR, `gradient` (N, 4P) = (B^T E Q)^T, `support`, `weight`
    (N, R), `count` (N,): the last four are updated. `worst_*`: CSR over the vertices of the shapes in which a
    vertex counts more than once, and how much more; `transforms` B (3S, 4P) and `shapes` A (3S, N)
    are needed for those only.
    """
    size = gram.shape[0]
    bones = size // 4
    hessian = np.zeros((bones, bones))
    known = np.zeros(bones, np.bool_)
    folded = np.empty(size)
    linear = np.empty(bones)
    g = np.empty(bones)
    before = np.zeros(bones)
    room = max(most + 1, support.shape[1])
    trial_support = np.empty(room, np.int64)
    trial_w = np.empty(room)
    best_support = np.empty(room, np.int64)
    best_w = np.empty(room)
    small = np.empty((room, room))
    c = np.empty(room)
    new = np.empty(room)
    chol = np.empty((room, room))
    change = np.empty(size)
    dearest = 0
    for i in range(position.shape[0]):
        dearest = max(dearest, worst_start[i + 1] - worst_start[i])
    arm = np.empty((3 * dearest, bones))
    gained = 0.0
    for i in order:
        x, y, z, o = position[i, 0], position[i, 1], position[i, 2], position[i, 3]
        diagonal = 0.0
        for k in range(q_start[i], q_start[i + 1]):
            if q_column[k] == i:
                diagonal = q_value[k]
        for j in range(bones):
            at = 4 * j
            row = gradient[i]
            g[j] = x * row[at] + y * row[at + 1] + z * row[at + 2] + o * row[at + 3]
            known[j] = False
            before[j] = 0.0
        n = count[i]
        for a in range(n):
            best_support[a], best_w[a] = support[i, a], weight[i, a]
            before[support[i, a]] = weight[i, a]
        arms = _weigh_more(
            i, n, best_support, best_w, worst_start, worst_shape, worst_weight, transforms, shapes,
            x, y, z, o, bones, g, arm,
        )  # fmt: skip
        for a in range(n):
            _hessian_row(
                hessian, known, best_support[a], gram, x, y, z, o, diagonal, folded, bones, arm, arms
            )
        # f(w) = w^T M w / 2 + c^T w with the gradient g at the weights as they are.
        for j in range(bones):
            s = g[j]
            for a in range(n):
                s -= hessian[best_support[a], j] * best_w[a]
            linear[j] = s
        n, multiplier = feasible(hessian, linear, best_support, best_w, n, small, c, new, chol)
        while n > most:
            n = drop(hessian, best_support, best_w, n, small, chol)
            n, multiplier = feasible(hessian, linear, best_support, best_w, n, small, c, new, chol)
        for _ in range(exchanges):
            # The bone outside whose weight would lower the objective most.
            candidate, steepest = -1, 0.0
            for j in range(bones):
                inside = False
                s = linear[j]
                for a in range(n):
                    inside = inside or best_support[a] == j
                    s += hessian[best_support[a], j] * best_w[a]
                slope = -multiplier + s
                # The multiplier is that of the bones inside: their gradient is equal to it.
                if not inside and slope < steepest:
                    steepest, candidate = slope, j
            if candidate < 0:
                break
            _hessian_row(hessian, known, candidate, gram, x, y, z, o, diagonal, folded, bones, arm, arms)
            m = n + 1
            for a in range(n):
                trial_support[a], trial_w[a] = best_support[a], best_w[a]
            trial_support[n], trial_w[n] = candidate, 0.0
            m, trial_multiplier = feasible(hessian, linear, trial_support, trial_w, m, small, c, new, chol)
            if m > most:
                m = drop(hessian, trial_support, trial_w, m, small, chol)
                m, trial_multiplier = feasible(
                    hessian, linear, trial_support, trial_w, m, small, c, new, chol
                )
            old = objective(hessian, linear, best_support, best_w, n)
            now = objective(hessian, linear, trial_support, trial_w, m)
            if now >= old - _LEAST_GAIN * abs(old):
                break
            n, multiplier = m, trial_multiplier
            for a in range(m):
                best_support[a], best_w[a] = trial_support[a], trial_w[a]
        gained += _apply(
            i, n, best_support, best_w, before, support, weight, count, g, gram, x, y, z, o, change,
            q_start, q_column, q_value, gradient,
        )  # fmt: skip
    return gained


@compiled
def _hessian_row(
    hessian: np.ndarray,
    known: np.ndarray,
    bone: int,
    gram: np.ndarray,
    x: float,
    y: float,
    z: float,
    o: float,
    diagonal: float,
    folded: np.ndarray,
    bones: int,
    arm: np.ndarray,
    arms: int,
) -> None:
    """Row `bone` of M, unless it is there."""
    if known[bone]:
        return
    known[bone] = True
    at = 4 * bone
    r0, r1, r2, r3 = gram[at], gram[at + 1], gram[at + 2], gram[at + 3]
    for k in range(4 * bones):
        folded[k] = x * r0[k] + y * r1[k] + z * r2[k] + o * r3[k]
    for j in range(bones):
        k = 4 * j
        hessian[bone, j] = diagonal * (
            x * folded[k] + y * folded[k + 1] + z * folded[k + 2] + o * folded[k + 3]
        )
    for r in range(arms):
        own = arm[r, bone]
        for j in range(bones):
            hessian[bone, j] += own * arm[r, j]


@compiled
def _weigh_more(
    i: int,
    n: int,
    support: np.ndarray,
    w: np.ndarray,
    worst_start: np.ndarray,
    worst_shape: np.ndarray,
    worst_weight: np.ndarray,
    transforms: np.ndarray,
    shapes: np.ndarray,
    x: float,
    y: float,
    z: float,
    o: float,
    bones: int,
    g: np.ndarray,
    arm: np.ndarray,
) -> int:
    """Add to the gradient `g` what vertex i misses in its worst shapes.

    Rows of `arm`: what each bone does there, scaled by the root of its weight, so that products of rows are
    what the Hessian gains. Gives how many rows there are.
    """
    r = 0
    for k in range(worst_start[i], worst_start[i + 1]):
        root = np.sqrt(worst_weight[k])
        for axis in range(3):
            row = transforms[3 * worst_shape[k] + axis]
            for j in range(bones):
                at = 4 * j
                arm[r, j] = root * (x * row[at] + y * row[at + 1] + z * row[at + 2] + o * row[at + 3])
            missed = -root * shapes[3 * worst_shape[k] + axis, i]
            for a in range(n):
                missed += arm[r, support[a]] * w[a]
            for j in range(bones):
                g[j] += missed * arm[r, j]
            r += 1
    return r


@compiled
def _apply(
    i: int,
    n: int,
    new_support: np.ndarray,
    new_w: np.ndarray,
    before: np.ndarray,
    support: np.ndarray,
    weight: np.ndarray,
    count: np.ndarray,
    g: np.ndarray,
    gram: np.ndarray,
    x: float,
    y: float,
    z: float,
    o: float,
    change: np.ndarray,
    q_start: np.ndarray,
    q_column: np.ndarray,
    q_value: np.ndarray,
    gradient: np.ndarray,
) -> float:
    """Write the weights of vertex i and what follows for the gradients of its neighbours."""
    size = gram.shape[0]
    change[:] = 0.0
    linear_gain = 0.0
    for a in range(n):
        before[new_support[a]] -= new_w[a]
    for j in range(size // 4):
        delta = -before[j]
        if delta == 0.0:
            continue
        linear_gain += g[j] * delta
        at = 4 * j
        r0, r1, r2, r3 = gram[at], gram[at + 1], gram[at + 2], gram[at + 3]
        dx, dy, dz, do = delta * x, delta * y, delta * z, delta * o
        for k in range(size):
            change[k] += dx * r0[k] + dy * r1[k] + dz * r2[k] + do * r3[k]
    quadratic = 0.0
    own = 0.0
    for j in range(size // 4):
        at = 4 * j
        quadratic -= before[j] * (
            x * change[at] + y * change[at + 1] + z * change[at + 2] + o * change[at + 3]
        )
    for k in range(q_start[i], q_start[i + 1]):
        row = gradient[q_column[k]]
        q = q_value[k]
        if q_column[k] == i:
            own = q
        for m in range(size):
            row[m] += q * change[m]
    for a in range(n):
        support[i, a], weight[i, a] = new_support[a], new_w[a]
    for a in range(n, count[i]):
        support[i, a], weight[i, a] = 0, 0.0
    count[i] = n
    return -(linear_gain + 0.5 * own * quadratic)
