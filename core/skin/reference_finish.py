# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes the published fit's numbers a solution on every mesh."""

from __future__ import annotations

import numpy as np

from .measure import transform_rows
from .problem import Problem


def within_budget(transforms: np.ndarray, count: int) -> np.ndarray:
    """Transforms with at most `count` that are not zero: of equal ones at the limit the last are dropped."""
    if np.count_nonzero(transforms) <= count:
        return transforms
    order = np.argsort(-np.abs(transforms), axis=None, kind="stable")
    cut = transforms.copy()
    cut.reshape(-1)[order[count:]] = 0.0
    return cut


def lone_bones(problem: Problem, weights: np.ndarray, transforms: np.ndarray, least: float) -> np.ndarray:
    """Weights (N, P) where a vertex whose sum is below `least` follows the bone that suits it best alone.

    `transforms` is (6, S, P). Such vertices hardly move; the published code divides by their sum.
    """
    empty = np.flatnonzero(~(weights.sum(axis=1) >= least))
    if not empty.size:
        return weights
    homogeneous = np.ones((empty.size, 4), np.float32)
    homogeneous[:, :3] = problem.rest[empty]
    wanted = problem.deltas[:, empty].T
    matrix = transform_rows(transforms.transpose(1, 2, 0)).reshape(len(problem.deltas), -1, 4)
    misses = np.stack(
        [np.square(homogeneous @ matrix[:, j].T - wanted).sum(axis=1) for j in range(matrix.shape[1])], axis=1
    )
    filled = weights.copy()
    filled[empty] = 0.0
    filled[empty, misses.argmin(axis=1)] = 1.0
    return filled
