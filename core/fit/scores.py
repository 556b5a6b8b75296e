# SPDX-License-Identifier: GPL-3.0-or-later
"""A detector's blendshape scores as what to expect of the weights."""

from __future__ import annotations

import numpy as np

from ..track import Track
from .frame import Expected
from .priors import ExpressionPrior

Array = np.ndarray

REST_SHARE = 10.0
"""Percentile of a score that counts as the resting face: scores of a calm face are not 0."""
MOST_REST = 0.4
"""A score is never taken for rest above this: somebody may smile all the time."""


def expectations(track: Track, prior: ExpressionPrior) -> list[Expected]:
    """(T) what is known of each frame's weights: the prior, and where there are scores each as a further
    observation, counted from its resting value.
    """
    count = len(prior.low)
    nothing = Expected(prior.precision, np.zeros(count))
    if track.scores is None or track.scores.shape[1] != count or not np.any(track.tracked):
        return [nothing] * track.frame_count
    scores = track.scores.astype(np.float64)
    rest = np.zeros(count)
    if track.ordered and track.frame_count > 20:
        rest = np.minimum(np.percentile(scores[track.tracked], REST_SHARE, axis=0), MOST_REST)
    seen = np.clip((scores - rest) / (1.0 - rest), prior.low, prior.high)
    trust = prior.score_precision.copy()
    trust[prior.looks] = 0.0
    both = prior.precision + np.diag(trust)
    return [Expected(both, trust * row) if np.all(np.isfinite(row)) else nothing for row in seen]
