# SPDX-License-Identifier: GPL-3.0-or-later
"""A face whose vertices are held by several bones of a body.

The face's bones hang on the head. Where the neck carries a part of a vertex, that part knows nothing of an
opening jaw. Two cures: the bones that are felt there get twins that hang on the neck; what is left is solved
for, with weights from bones that go farther, as a small quadratic problem for each vertex: w >= 0 and
sum w <= what the head carries.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .compressed import CompressedSkin

FELT = 0.02
"""Of the largest motion of a face: a carrier on which less would be missed gets no twins."""
_TWINS = (0.1, 0.04, 0.015, 0.0)
"""Of the same: a bone that moves nothing farther gets no twin; the first at which nothing is missed counts.
On a MetaPerson head 7 twins do as well as 30; without any the throat misses 14 mm of an open jaw."""
_MISSED = 0.05
"""Of the same: what twins may miss of a shape beside what the skin misses anyhow."""
_WHOLE = 0.999
"""A vertex that is carried this much keeps its weights."""
_STEPS = 150
_BLOCK = 2_000_000
"""Numbers in a block of displacements."""
_PULL = 1e-5
"""Towards the weights as they were, as a part of what the bones can do: decides where shapes do not."""


def moving_bones(skin: CompressedSkin) -> np.ndarray:
    """(B,) indices of the bones that move something."""
    moves = np.any(skin.transforms != 0.0, axis=(0, 2)) & np.any(skin.weights > 0.0, axis=0)
    return np.flatnonzero(moves)


def hang(
    skin: CompressedSkin, shares: np.ndarray, deltas: np.ndarray | None
) -> tuple[CompressedSkin, np.ndarray]:
    """The skin as it stands on a body, and the carrier (P',) of each of its bones.

    `shares` (N, C) are what the carriers hold of each vertex, the head first; deltas (S, N, 3) the shapes, as
    far as they are known. Twins come after the skin's own bones; a still bone takes what is left over.
    """
    bones = moving_bones(skin)
    own = skin.weights[:, bones].astype(np.float64)
    reached = np.stack([_farthest(skin, j) for j in bones], axis=1) if len(bones) else own
    largest = float((own * reached).max(initial=0.0))
    twins: list[tuple[int, int, np.ndarray]] = []
    for c in range(1, shares.shape[1]):
        felt, held = _twins(skin, bones, shares[:, c], deltas, reached, largest)
        twins += [(c, int(bones[b]), column) for b, column in zip(felt, held.T, strict=True)]
    if deltas is None:
        head = scaled_weights(own, shares[:, 0])
    else:
        left = np.array(deltas, np.float32)
        for _, bone, weights in twins:
            rows = np.flatnonzero(weights)
            left[:, rows] -= _posed(skin, np.array([bone]), rows, weights[rows, None])
        head = carried_weights(skin, bones, shares[:, 0], left)
    return _joined(skin, bones, head, twins)


def _joined(
    skin: CompressedSkin, bones: np.ndarray, head: np.ndarray, twins: list[tuple[int, int, np.ndarray]]
) -> tuple[CompressedSkin, np.ndarray]:
    weights = np.zeros((skin.n_vertices, skin.n_bones + len(twins) + 1))
    weights[:, bones] = head
    for place, (_, _, column) in enumerate(twins, skin.n_bones):
        weights[:, place] = column
    still = np.setdiff1d(np.arange(skin.n_bones), bones)
    rest = int(still[0]) if len(still) else weights.shape[1] - 1
    weights[:, rest] = np.maximum(1.0 - weights.sum(axis=1), 0.0)
    used = weights.shape[1] if weights[:, -1].max(initial=0.0) > 1e-6 else weights.shape[1] - 1
    transforms = np.zeros((skin.n_shapes, weights.shape[1], 6), np.float32)
    transforms[:, : skin.n_bones] = skin.transforms
    transforms[:, skin.n_bones : -1] = skin.transforms[:, [bone for _, bone, _ in twins]]
    carriers = np.array([0] * skin.n_bones + [c for c, _, _ in twins] + [0])
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return replace(skin, weights=weights[:, :used], transforms=transforms[:, :used]), carriers[:used]


def _twins(
    skin: CompressedSkin,
    bones: np.ndarray,
    share: np.ndarray,
    deltas: np.ndarray | None,
    reached: np.ndarray,
    largest: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the bones (B,) need a twin on a carrier, and the twins' weights (N, b): so few that, beside
    what the skin misses anyhow, nothing is missed that would be felt.
    """
    whole = skin.weights[:, bones].astype(np.float64)
    held = whole * share[:, None]
    farthest = (held * reached).max(axis=0, initial=0.0)
    felt = np.arange(len(bones))
    rows = np.flatnonzero(share > 0.0)
    for least in _TWINS:
        felt = np.flatnonzero(farthest > least * largest)
        if deltas is None:
            return felt, held[:, felt]
        wanted = deltas * share[:, None]
        found = held[:, felt]
        if len(felt):
            found = carried_weights(skin, bones[felt], share, wanted, found)
        missed = _missed(skin, bones[felt], rows, found[rows], wanted)
        anyhow = _missed(skin, bones, rows, held[rows], wanted)
        if np.all(missed - anyhow <= _MISSED * largest):
            return felt, found
    return felt, held[:, felt]


def _missed(
    skin: CompressedSkin, bones: np.ndarray, rows: np.ndarray, weights: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """(n,) largest distance of the vertices `rows` from where shapes want them (S, N, 3)."""
    apart = _posed(skin, bones, rows, weights) - wanted[:, rows]
    return np.linalg.norm(apart, axis=2).max(axis=0, initial=0.0)


def _posed(skin: CompressedSkin, bones: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(S, n, 3) where each shape takes vertices with these bones and weights (n, b)."""
    six = np.einsum("nb,sbk->snk", weights, skin.transforms[:, bones], optimize=True)
    return np.cross(six[..., :3], skin.rest[rows]) + six[..., 3:]


def _farthest(skin: CompressedSkin, bone: int) -> np.ndarray:
    """(N,) how far a bone alone takes each of its vertices in any shape."""
    rows = np.flatnonzero(skin.weights[:, bone] > 0.0)
    farthest = np.zeros(skin.n_vertices)
    for six in skin.transforms[np.any(skin.transforms[:, bone] != 0.0, axis=1), bone]:
        moved = np.cross(six[:3], skin.rest[rows]) + six[3:]
        farthest[rows] = np.maximum(farthest[rows], np.linalg.norm(moved, axis=1))
    return farthest


def scaled_weights(weights: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(N, B) weights within the share (N,) of each vertex, in the same proportions.

    Where a part of a vertex is still, that part makes room first and nothing of the motion is lost.
    """
    moving = weights.sum(axis=1)
    room = np.where(moving > 0.0, share / np.where(moving > 0.0, moving, 1.0), 0.0)
    return weights * np.minimum(room, 1.0)[:, None]


def carried_weights(
    skin: CompressedSkin,
    bones: np.ndarray,
    share: np.ndarray,
    deltas: np.ndarray,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """(N, B) weights of the skin's `bones` (B,) with little squared error of the shapes (S, N, 3), where
    `share` (N,) of a vertex is theirs. As many bones move a vertex as the skin allows. The search starts, and
    what it need not change stays, at `start` (N, B), else at the skin's weights within the share.
    """
    weights = start
    if weights is None:
        weights = scaled_weights(skin.weights[:, bones].astype(np.float64), share)
    shaped = np.abs(deltas).max(axis=(0, 2), initial=0.0) > 0.0
    rows = np.flatnonzero(shaped & (share < _WHOLE) & (share > 0.0))
    step = max(1, _BLOCK // max(3 * skin.n_shapes * len(bones), 1))
    for first in range(0, len(rows), step):
        block = rows[first : first + step]
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
