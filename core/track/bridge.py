# SPDX-License-Identifier: GPL-3.0-or-later
"""Values for lost frames, for those who need some: between the frames before and after, and never trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..series import brackets, linear
from .track import Track

LIMIT = 0.5
"""s between tracked frames over which nothing is guessed."""


@dataclass(frozen=True)
class Bridged:
    """A track's values with its short gaps filled; rows that could not be are NaN as before."""

    landmarks: np.ndarray
    """(T, 478, 3) float32 px."""
    scores: np.ndarray | None
    """(T, 52) float32, or None."""
    filled: np.ndarray
    """(T,) bool: rows that were guessed. The track's confidence is still 0 there."""


def bridged(track: Track, limit: float = LIMIT) -> Bridged:
    """Landmarks and scores of a track with gaps of up to `limit` s filled, linear in time.

    A gap is what lies between two tracked frames; nothing is added before the first or after the last, nor
    between photos.
    """
    known = np.flatnonzero(track.tracked)
    filled = np.zeros(track.frame_count, bool)
    landmarks, scores = track.landmarks.copy(), None if track.scores is None else track.scores.copy()
    if track.ordered and len(known) > 1:
        time = track.time[known]
        low, u = brackets(time, track.time)
        inside = (track.time > time[0]) & (track.time < time[-1])
        filled = ~track.tracked & inside & (np.diff(time)[low] <= limit)
        landmarks[filled] = linear(track.landmarks[known], low[filled], u[filled])
        if scores is not None and track.scores is not None:
            scores[filled] = linear(track.scores[known], low[filled], u[filled])
    return Bridged(landmarks, scores, filled)
