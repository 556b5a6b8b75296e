# SPDX-License-Identifier: GPL-3.0-or-later
"""The few directions of the 52 weights that a take really moves in: what learned offsets ride on.

Offsets per weight would be 52 for each Gaussian, most of them never seen alone; a person who talks moves in
some eight combinations of them (reduced Gaussian blendshapes).
"""

from __future__ import annotations

import numpy as np

from .bound import ExpressionBasis

Array = np.ndarray

_QUIET = 0.02
"""Standard deviation of a weight's direction under which nothing can be learned along it."""
_PICTURES = 10
"""That there must be for a direction: with fewer, offsets learn each picture by heart."""
_ROOM = 0.1
"""Share of the seen range by which another performance may go beyond it."""


def fit_basis(weights: Array, rank: int) -> ExpressionBasis:
    """At most `rank` principal directions of weights (T, 52), scaled so that each varies by 1 in the take.

    The limits are what the take shows and a little more: beyond it offsets were never trained.
    """
    weights = np.asarray(weights, np.float64)
    mean = weights.mean(axis=0)
    _, deviation, axes = np.linalg.svd(weights - mean, full_matrices=False)
    deviation = deviation / np.sqrt(max(len(weights), 1))
    kept = min(rank, int(np.count_nonzero(deviation > _QUIET)), len(weights) // _PICTURES)
    directions = axes[:kept] / deviation[:kept, None]
    latent = (weights - mean) @ directions.T
    low, high = latent.min(axis=0), latent.max(axis=0)
    room = _ROOM * (high - low)
    arrays = (mean, directions, low - room, high + room)
    return ExpressionBasis(*(np.ascontiguousarray(array, np.float32) for array in arrays))
