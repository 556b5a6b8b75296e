# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a detector's error is common to all landmarks of a picture.

A detector works on a crop, and the crop's own small error moves, turns and scales all landmarks together. A
fit absorbs that in the pose, so it says nothing about single landmarks and is taken off before their scatter
is measured.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

FIRM = 0.006
"""Residual, as a share of the face, from which a landmark hardly counts in the alignment."""


def aligned(observed: Array, predicted: Array, *, keep_mean: bool) -> Array:
    """`observed` ((R, D, 478, 2) px) brought onto `predicted` ((R, 478, 2) px) by one similarity for each
    picture and detector; NaN stays.

    With `keep_mean` the mean similarity over all pictures and detectors is left in: it is where the detectors
    say that faces are.
    """
    result = np.full(observed.shape, np.nan)
    found = np.argwhere(np.isfinite(observed[:, :, 0, 0]))
    if not len(found):
        return result
    middle = predicted.mean(axis=1)
    size = np.sqrt(np.ptp(predicted, axis=1).prod(axis=1))
    model = (predicted - middle[:, None]) / size[:, None, None]
    data = (observed - middle[:, None, None]) / size[:, None, None, None]
    motions = np.array([similarity(model[r], data[r, d]) for r, d in found])
    mean = motions.mean(axis=0) if keep_mean else np.array([1.0, 0, 0, 0])
    for (r, d), motion in zip(found, motions, strict=True):
        rest = _applied(mean, _undone(motion, data[r, d]))
        result[r, d] = rest * size[r] + middle[r]
    return result


def similarity(source: Array, target: Array, rounds: int = 4) -> Array:
    """(4,) a, b, x, y of the similarity p -> (a p_x - b p_y + x, b p_x + a p_y + y) that brings `source`
    ((n, 2)) onto `target` ((n, 2)), robustly.
    """
    weight, motion = np.ones(len(source)), np.array([1.0, 0, 0, 0])
    for _ in range(rounds):
        p, q = (np.average(points, axis=0, weights=weight) for points in (source, target))
        s, t = source - p, target - q
        power = (weight[:, None] * s**2).sum()
        a = (weight[:, None] * s * t).sum() / power
        b = (weight * (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0])).sum() / power
        motion = np.array([a, b, q[0] - a * p[0] + b * p[1], q[1] - b * p[0] - a * p[1]])
        error = np.linalg.norm(_applied(motion, source) - target, axis=1)
        weight = 1.0 / (1.0 + (error / FIRM) ** 2)
    return motion


def _applied(motion: Array, points: Array) -> Array:
    a, b, x, y = motion
    return points @ np.array([[a, b], [-b, a]]) + [x, y]


def _undone(motion: Array, points: Array) -> Array:
    a, b, x, y = motion
    return (points - [x, y]) @ np.array([[a, -b], [b, a]]) / (a * a + b * b)
