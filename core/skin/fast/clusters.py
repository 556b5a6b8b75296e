# SPDX-License-Identifier: GPL-3.0-or-later
"""Where bones begin: vertices that the shapes move alike, by k-means on their motions.

Connectivity plays no part, so that islands, loose vertices and several meshes are nothing special.
"""

from __future__ import annotations

import numpy as np

from .bases import Bases

_DIMENSIONS = 48
_ROUNDS = 25


def clusters_of(bases: Bases, bones: int, seed: int) -> np.ndarray:
    """(n,) the cluster 0..bones of each moving vertex."""
    rng = np.random.default_rng(seed)
    features = _motions(bases.shapes, rng)
    centres = _spread_out(features, bones, rng)
    nearest = np.zeros(len(features), np.int64)
    for _ in range(_ROUNDS):
        found = ((centres**2).sum(axis=1) - 2.0 * features @ centres.T).argmin(axis=1)
        if np.array_equal(found, nearest):
            break
        nearest = found
        for cluster in np.unique(nearest):
            centres[cluster] = features[nearest == cluster].mean(axis=0)
    return nearest


def _motions(shapes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The motions (n, d) in the directions of shape space that hold most of them (a random range finder)."""
    probe = rng.standard_normal((shapes.shape[1], _DIMENSIONS + 8)).astype(np.float32)
    directions, _ = np.linalg.qr(shapes @ probe)
    return (directions.T @ shapes).T.astype(np.float64)


def _spread_out(features: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` features far from each other (k-means++); repeats where there are not so many."""
    chosen = [int(rng.integers(len(features)))]
    distance = ((features - features[chosen[0]]) ** 2).sum(axis=1)
    for _ in range(count - 1):
        total = distance.sum()
        share = distance / total if total > 0.0 else None
        chosen.append(int(rng.choice(len(features), p=share)))
        distance = np.minimum(distance, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
    return features[chosen].copy()
