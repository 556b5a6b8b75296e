# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning the texture of a moving face from its track: ridge regression, held to stretches left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arkit import ARKIT_NAMES
from ..performance import Performance
from .low_rank import LowRank
from .predicted import PredictedTexture, features_of

Array = np.ndarray

STRENGTHS = np.geomspace(1e-3, 1e3, 13)
"""Candidates, as shares of the number of pictures."""
BLOCKS = 8
"""Stretches of the take, each held out in turn. Neighbours in time are alike, so single pictures held out
would tell nothing."""
RANGE = 1.0, 99.0
"""Percentiles of the coefficients that bound what may be predicted: a bad moment of tracking is no face."""
_WEIGHT, _ANGLE = 0.05, 0.02
"""Least spread (weight, rad) that a feature is measured in: what hardly moved in the take says nothing of
what it does when it moves."""


@dataclass(frozen=True)
class _Scaled:
    """Features (T, F) less their middle, by their spread."""

    values: Array
    middle: Array
    spread: Array

    @staticmethod
    def of(features: Array) -> _Scaled:
        least = np.where(np.arange(features.shape[1]) < len(ARKIT_NAMES), _WEIGHT, _ANGLE)
        middle, spread = features.mean(axis=0), np.maximum(features.std(axis=0), least)
        return _Scaled((features - middle) / spread, middle, spread)


def learn(texture: LowRank, performance: Performance, seen: Array | None = None) -> PredictedTexture:
    """The regression from a performance to the coefficients of its track.

    seen: (T,) bool, the samples whose pictures are real; by default those that were tracked.
    """
    seen = performance.confidence > 0 if seen is None else np.asarray(seen, bool)
    features = features_of(performance.weights, performance.head_rotation, performance.gaze)
    targets = texture.coefficients.astype(np.float64)
    x, y = features[seen], targets[seen]
    strength, score = chosen_strength(x, y, texture.energy)
    scaled, level = _Scaled.of(x), y.mean(axis=0)
    slopes = ridge(scaled.values, y - level, strength * len(x))
    matrix = (slopes / scaled.spread[:, None]).T
    lowest, highest = np.percentile(y, RANGE, axis=0)
    learnt = {
        "matrix": matrix,
        "offset": level - matrix @ scaled.middle,
        "lowest": lowest,
        "highest": highest,
        "usual": scaled.middle,
    }
    arrays = {name: array.astype(np.float32) for name, array in learnt.items()}
    return PredictedTexture(texture=texture, score=score, **arrays)


def ridge(x: Array, y: Array, strength: float) -> Array:
    """(F, k) slopes of y (T, k) over x (T, F) that are least squares but for `strength` times their own."""
    return np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)


def chosen_strength(x: Array, y: Array, energy: Array) -> tuple[float, float]:
    """The candidate that predicts held-out stretches best, and the share of variance it predicts there.

    x: (T, F), y: (T, k), energy (k,) says what each component is worth.
    """
    blocks = [block for block in np.array_split(np.arange(len(x)), BLOCKS) if len(block)]
    if len(blocks) < 2:
        return float(STRENGTHS[-1]), 0.0
    missed, all_of_it = np.zeros(len(STRENGTHS)), 0.0
    for block in blocks:
        rest = np.setdiff1d(np.arange(len(x)), block)
        scaled, level = _Scaled.of(x[rest]), y[rest].mean(axis=0)
        held, wanted = (x[block] - scaled.middle) / scaled.spread, y[block] - level
        low, high = np.percentile(y[rest], RANGE, axis=0) - level
        all_of_it += float((wanted**2).sum(axis=0) @ energy)
        for i, strength in enumerate(STRENGTHS):
            slopes = ridge(scaled.values, y[rest] - level, strength * len(rest))
            missed[i] += float(((wanted - np.clip(held @ slopes, low, high)) ** 2).sum(axis=0) @ energy)
    best = int(np.argmin(missed))
    return float(STRENGTHS[best]), 1.0 - float(missed[best]) / max(all_of_it, 1e-12)
