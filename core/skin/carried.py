# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of a face whose vertices other bones hold too.

Where a neck carries a quarter of a vertex, the bones of the face may have only three quarters: the neck knows
nothing of an opening jaw. So those vertices get weights of their own, from bones that go farther, with which
their shapes come out as they should: a small quadratic problem for each, w >= 0 and sum w <= share.
"""

from __future__ import annotations

import numpy as np

from .compressed import CompressedSkin

_WHOLE = 0.999
"""A vertex that is carried this much keeps its weights."""
_STEPS = 150
_BLOCK = 2_000_000
"""Numbers in a block of displacements."""
_PULL = 1e-5
"""Towards the weights as they were, as a part of what the bones can do: decides where shapes do not."""


def scaled_weights(weights: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(N, B) weights within the share (N,) of each vertex, in the same proportions.

    Where a part of a vertex is still, that part makes room first and nothing of the motion is lost.
    """
    moving = weights.sum(axis=1)
    room = np.where(moving > 0.0, share / np.where(moving > 0.0, moving, 1.0), 0.0)
    return weights * np.minimum(room, 1.0)[:, None]


def carried_weights(
    skin: CompressedSkin, bones: np.ndarray, share: np.ndarray, deltas: np.ndarray
) -> np.ndarray:
    """(N, B) weights of the skin's `bones` (B,) with little squared error of the shapes (S, N, 3), where
    `share` (N,) of a vertex is theirs. As many bones move a vertex as the skin allows.
    """
    weights = scaled_weights(skin.weights[:, bones].astype(np.float64), share)
    shaped = np.abs(deltas).max(axis=(0, 2), initial=0.0) > 0.0
    rows = np.flatnonzero(shaped & (share < _WHOLE) & (share > 0.0))
    step = max(1, _BLOCK // max(3 * skin.n_shapes * len(bones), 1))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        weights[block] = _solved(skin, bones, block, weights[block], share[block], deltas[:, block])
    return weights


def _solved(
    skin: CompressedSkin,
    bones: np.ndarray,
    rows: np.ndarray,
    start: np.ndarray,
    share: np.ndarray,
    deltas: np.ndarray,
) -> np.ndarray:
    """(n, B) weights of the vertices `rows`."""
    six = skin.transforms[:, bones].astype(np.float64)
    points = skin.rest[rows].astype(np.float64)
    reach = np.cross(six[:, None, :, :3], points[None, :, None, :]) + six[:, None, :, 3:]
    reach = reach.transpose(1, 0, 3, 2).reshape(len(rows), -1, len(bones))
    wanted = deltas.transpose(1, 0, 2).reshape(len(rows), -1)
    products = np.swapaxes(reach, 1, 2) @ reach
    goal = np.einsum("nkb,nk->nb", reach, wanted, optimize=True)
    pull = _PULL * np.trace(products, axis1=1, axis2=2) + 1e-30
    products += np.eye(len(bones)) * pull[:, None, None]
    goal += pull[:, None] * start
    found = _descend(products, goal, start, share, np.ones_like(start, bool))
    most = min(max(skin.max_influences, 1), len(bones))
    kept = found >= np.partition(found, -most, axis=1)[:, -most, None]
    return _descend(products, goal, np.where(kept, found, 0.0), share, kept & (found > 0.0))


def _descend(
    products: np.ndarray, goal: np.ndarray, start: np.ndarray, share: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """Accelerated projected gradient of 1/2 w H w - g w for every vertex, weights outside `kept` zero."""
    pace = 1.0 / np.linalg.eigvalsh(products)[:, -1, None]
    weights, ahead, momentum = start, start, 1.0
    for _ in range(_STEPS):
        slope = np.einsum("nij,nj->ni", products, ahead) - goal
        moved = _within(np.where(kept, ahead - pace * slope, 0.0), share)
        grown = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead = moved + ((momentum - 1.0) / grown) * (moved - weights)
        weights, momentum = moved, grown
    return weights


def _within(weights: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The nearest weights that are not negative and sum up to at most `share` (Held, Wolfe, Crowder 1974)."""
    positive = np.maximum(weights, 0.0)
    falling = -np.sort(-positive, axis=1)
    over = (np.cumsum(falling, axis=1) - share[:, None]) / np.arange(1, weights.shape[1] + 1)
    last = np.maximum((falling > over).sum(axis=1) - 1, 0)
    lowered = np.maximum(np.take_along_axis(over, last[:, None], axis=1), 0.0)
    return np.maximum(positive - lowered, 0.0)
