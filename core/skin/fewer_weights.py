# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer weights for each vertex, refitted to the motions that the bones make: what a limit of 4 costs least.

Leaving out the smallest weights moves a vertex by what they held. Instead the bone whose loss the others can
make up for best goes first, and the rest is solved anew (optimal brain surgeon, with a sum of 1).
"""

from __future__ import annotations

import numpy as np

_BLOCK = 2048
"""Vertices at a time."""
_RIDGE = 1e-6
"""Of the mean diagonal: bones that move alike have no single answer."""


def fewer_weights(rest: np.ndarray, weights: np.ndarray, motions: np.ndarray, most: int) -> np.ndarray:
    """(N, P) weights with at most `most` of a row not zero, not negative, rows summing to 1.

    `weights` (N, P) sum to 1, `motions` (F, P, 3, 4) are what the bones do to rest points (N, 3) at some
    frames. No vertex is farther off over these than with its largest weights.
    """
    out = np.array(weights, np.float64)
    crowded = np.flatnonzero(np.count_nonzero(out, axis=1) > most)
    for start in range(0, len(crowded), _BLOCK):
        rows = crowded[start : start + _BLOCK]
        out[rows] = _block(rest[rows].astype(np.float64), out[rows], motions, most)
    return out


def _block(rest: np.ndarray, weights: np.ndarray, motions: np.ndarray, most: int) -> np.ndarray:
    """The same for some vertices that all have more than `most`."""
    count = int(np.count_nonzero(weights, axis=1).max())
    bones = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    held = np.take_along_axis(weights, bones, axis=1)
    gram = _gram(rest, bones, motions)
    largest = np.where(np.arange(count) < most, held, 0.0)
    largest /= largest.sum(axis=1, keepdims=True)
    found = _refitted(gram, held, most)
    worse = _cost(gram, found - held) > _cost(gram, largest - held)
    found[worse] = largest[worse]
    out = np.zeros_like(weights)
    np.put_along_axis(out, bones, found, axis=1)
    return out


def _gram(rest: np.ndarray, bones: np.ndarray, motions: np.ndarray) -> np.ndarray:
    """(V, m, m) inner products of the moves that a vertex's bones make of it."""
    points = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
    gram = np.zeros((len(rest), bones.shape[1], bones.shape[1]))
    for frame in motions:
        moved = np.einsum("vmij,vj->vmi", frame[bones], points) - rest[:, None]
        gram += moved @ moved.swapaxes(1, 2)
    diagonal = np.einsum("vii->v", gram) / bones.shape[1]
    return gram + (_RIDGE * diagonal + 1e-30)[:, None, None] * np.eye(bones.shape[1])


def _cost(gram: np.ndarray, change: np.ndarray) -> np.ndarray:
    """(V,) squared error of other weights."""
    return np.einsum("vi,vij,vj->v", change, gram, change)


def _refitted(gram: np.ndarray, held: np.ndarray, most: int) -> np.ndarray:
    """(V, m) weights: one bone after the other leaves, then those that would be negative."""
    kept = held > 0.0
    while True:
        found, spread = _solved(gram, held, kept)
        over = kept.sum(axis=1) > most
        below = ~over & (np.where(kept, found, 0.0).min(axis=1) < 0.0)
        if not (over | below).any():
            return np.where(kept, found, 0.0)
        loss = np.where(kept, found**2 / np.maximum(spread, 1e-300), np.inf)
        leaving = np.where(over, np.argmin(loss, axis=1), np.argmin(np.where(kept, found, np.inf), axis=1))
        rows = np.flatnonzero(over | below)
        kept[rows, leaving[rows]] = False


def _solved(gram: np.ndarray, held: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best weights (V, m) of the kept bones with a sum of 1, and the diagonal of the constrained inverse: the
    error that a bone's loss makes is its weight's square over it.
    """
    both = kept[:, :, None] & kept[:, None, :]
    identity = np.eye(held.shape[1])
    scale = np.einsum("vii->v", gram)[:, None, None]
    inverse = np.linalg.inv(np.where(both, gram, scale * identity))
    inverse = np.where(both, inverse, 0.0)
    ones = inverse.sum(axis=2)
    total = ones.sum(axis=1, keepdims=True)
    free = np.einsum("vij,vj->vi", inverse, np.where(kept, np.einsum("vij,vj->vi", gram, held), 0.0))
    found = free + ones * (1.0 - free.sum(axis=1, keepdims=True)) / total
    spread = np.einsum("vii->vi", inverse) - ones**2 / total
    return found, spread
