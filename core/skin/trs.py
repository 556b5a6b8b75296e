# SPDX-License-Identifier: GPL-3.0-or-later
"""Bones' motions as what bone channels hold: location, rotation and scale, and the pair of bones that holds
them exactly.

A motion of compressed skinning is `M = I + [R]x | T`, R a sum of the shapes' numbers. Exactly, that is a
turn about R by atan|R|, a stretch by sqrt(1 + |R|^2) across R and none along it. The stretch has the axis R,
which differs from frame to frame, while the scale channels of a bone act along the bone's own axes: so one
bone holds most of it, and two bones (a parent with location, turn and scale, a child with a second turn) all
of it.

A bone stands at a pivot p with rest axes A (columns). With channels l, q, s it moves a point x of the model
to `A (Q(q) diag(s)) A^T (x - p) + A l + p`. Frames are the first axis everywhere (T), bones the second (P).
Lengths are in the model's unit, quaternions are w, x, y, z.
"""

from __future__ import annotations

from itertools import permutations, product
from typing import NamedTuple

import numpy as np

from .. import rotation

_PASSES = 4
"""Rounds in which every bone makes up for what the others cannot hold."""
_HOLD = 0.02
"""How strongly a bone stays with its own motion while it helps others, so that bones do not fight."""


_SAME = 1e-7
"""Squared stretches this near to each other count as the same all around."""


class Channels(NamedTuple):
    """What a bone's channels hold, in its rest axes."""

    location: np.ndarray
    """(T, P, 3)"""
    quaternion: np.ndarray
    """(T, P, 4), continuous over the frames."""
    scale: np.ndarray
    """(T, P, 3)"""


class BonePair(NamedTuple):
    """Channels of a parent bone and the turn of its child, at the same place with the same rest axes."""

    location: np.ndarray
    """(T, P, 3) of the parent."""
    quaternion: np.ndarray
    """(T, P, 4) of the parent."""
    scale: np.ndarray
    """(T, P, 3) of the parent."""
    child: np.ndarray
    """(T, P, 4) quaternion of the child, which deforms."""


def pivots(weights: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(P, 3) centroids of the rest points (N, 3) by squared weight (N, P); the rest's mean for a bone without
    weight.

    At this point the location channel is independent of turn and scale in the squared error.
    """
    squared = np.asarray(weights, np.float64) ** 2
    total = squared.sum(axis=0)[:, None]
    centroids = squared.T @ rest / np.where(total > 0.0, total, 1.0)
    return np.where(total > 0.0, centroids, np.mean(rest, axis=0, dtype=np.float64))


def gram(weights: np.ndarray, rest: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(4P, 4P) inner products of the bones' influences, points taken from the pivots `at` (P, 3).

    With the difference E (3, 4P) of two sets of motions, tr(E G E^T) is the squared error of all vertices.
    """
    bones = weights.shape[1]
    influence = np.ones((len(rest), bones, 4))
    influence[:, :, :3] = rest[:, None, :] - at
    influence *= np.asarray(weights, np.float64)[:, :, None]
    flat = influence.reshape(len(rest), 4 * bones)
    return flat.T @ flat


def bone_axes(matrices: np.ndarray) -> np.ndarray:
    """(P, 3, 3) rest axes (columns, right-handed) in which the motions (T, P, 3, 4) need the least shear.

    They diagonalise the stretches M^T M of all frames together as well as one frame can (Jacobi angles:
    Cardoso and Souloumiac 1996). Y, along the bone, is the axis about which it turns most.
    """
    linear = np.asarray(matrices, np.float64)[..., :3]
    stretch = np.einsum("tpji,tpjk->ptik", linear, linear)
    axes = np.broadcast_to(np.eye(3), (len(stretch), 3, 3)).copy()
    for _ in range(8):
        for p, q in ((0, 1), (1, 2), (0, 2)):
            turn = _plane_turn(stretch, p, q)
            axes = axes @ turn
            stretch = np.einsum("pji,ptjk,pkl->ptil", turn, stretch, turn)
    return _along_y(axes, np.einsum("ptii->pi", stretch))


def _plane_turn(stretch: np.ndarray, p: int, q: int) -> np.ndarray:
    """(P, 3, 3) turns in the plane of axes p, q that lessen entry [p, q] of all matrices (P, T, 3, 3)."""
    difference, twice = stretch[..., p, p] - stretch[..., q, q], 2.0 * stretch[..., p, q]
    on = np.sum(difference**2 - twice**2, axis=1)
    off = 2.0 * np.sum(difference * twice, axis=1)
    return _planar(0.25 * np.arctan2(off, on), p, q)


def _planar(angle: np.ndarray, p: int, q: int) -> np.ndarray:
    """(P, 3, 3) turns by angles (P,) from axis p towards axis q."""
    turn = np.broadcast_to(np.eye(3), (len(angle), 3, 3)).copy()
    turn[:, p, p] = turn[:, q, q] = np.cos(angle)
    turn[:, q, p], turn[:, p, q] = np.sin(angle), -np.sin(angle)
    return turn


def _along_y(axes: np.ndarray, stretched: np.ndarray) -> np.ndarray:
    """Axes in the order that puts the least stretched one, the axis of turning, second."""
    least = np.argmin(stretched, axis=1)
    order = np.stack([(least + 2) % 3, least, (least + 1) % 3], axis=1)
    axes = np.take_along_axis(axes, order[:, None, :], axis=2)
    side = np.take_along_axis(axes[:, :, 1], np.argmax(np.abs(axes[:, :, 1]), axis=1)[:, None], axis=1)
    flip = np.where(side < 0.0, -1.0, 1.0)
    return axes * np.stack([np.ones_like(flip), flip, flip], axis=2)


def rotation_scale(
    matrices: np.ndarray, at: np.ndarray, axes: np.ndarray | None = None, products: np.ndarray | None = None
) -> Channels:
    """Channels nearest to motions (T, P, 3, 4) of bones at pivots `at` (P, 3) with rest axes (P, 3, 3).

    With `products` (`gram` of the same pivots) the error of the vertices counts, and every bone makes up for
    what its neighbours cannot hold; without, each matrix stands alone.
    """
    axes = _axes_or_world(axes, len(at))
    wanted = _from_axes(matrices, at, axes)
    if products is None:
        turn, scale = _turn_and_scale(wanted[..., :3], np.broadcast_to(np.eye(3), axes.shape))
        move = wanted[..., 3]
    else:
        turn, scale, move = _together(wanted, _in_axes(products, axes))
    return Channels(_to_axes(axes, move), _quaternions(np.swapaxes(axes, -1, -2) @ turn), scale)


def two_bones(matrices: np.ndarray, at: np.ndarray, axes: np.ndarray | None = None) -> BonePair:
    """The exact form of any affine motions (T, P, 3, 4): parent U and s, child V^T, with M = U diag(s) V^T.

    Order, signs and free angles of the stretch's axes are those nearest to the frame before, so that what
    lies between two keys stays near both.
    """
    axes = _axes_or_world(axes, len(at))
    wanted = _from_axes(matrices, at, axes)
    linear = np.swapaxes(axes, -1, -2) @ wanted[..., :3]
    stretch = _steady_axes(linear)
    stretched = linear @ stretch
    left, _, right = np.linalg.svd(stretched)
    turn = left @ right
    turn[..., 2] *= np.where(np.linalg.det(turn) < 0.0, -1.0, 1.0)[..., None]  # a mirrored bone
    scale = np.einsum("tpji,tpji->tpi", turn, stretched)
    child = _quaternions(np.swapaxes(stretch, -1, -2))
    return BonePair(_to_axes(axes, wanted[..., 3]), _quaternions(turn), scale, child)


def matrices_of(channels: Channels | BonePair, at: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    """(T, P, 3, 4) motions that channels make: the inverse of `rotation_scale` and `two_bones`."""
    axes = _axes_or_world(axes, len(at))
    linear = rotation.to_matrix(channels.quaternion) * channels.scale[..., None, :]
    if isinstance(channels, BonePair):
        linear = linear @ rotation.to_matrix(channels.child)
    linear = axes @ linear @ np.swapaxes(axes, -1, -2)
    offset = np.einsum("pij,tpj->tpi", axes, channels.location) + at - np.einsum("tpij,pj->tpi", linear, at)
    return np.concatenate([linear, offset[..., None]], axis=-1)


def _axes_or_world(axes: np.ndarray | None, bones: int) -> np.ndarray:
    return np.broadcast_to(np.eye(3), (bones, 3, 3)) if axes is None else np.asarray(axes, np.float64)


def _from_axes(matrices: np.ndarray, at: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(T, P, 3, 4) motions from a bone's rest axes to the model's; last the pivot's movement."""
    m = np.asarray(matrices, np.float64)
    moved = np.einsum("tpij,pj->tpi", m[..., :3], at) + m[..., 3] - at
    return np.concatenate([m[..., :3] @ axes, moved[..., None]], axis=-1)


def _to_axes(axes: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors (T, P, 3) of the model in the bones' rest axes."""
    return np.einsum("pji,tpj->tpi", axes, vectors)


def _in_axes(products: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(P, 4, P, 4) inner products of points given in the bones' rest axes."""
    bones = len(axes)
    frame = np.zeros((bones, 4, 4))
    frame[:, :3, :3], frame[:, 3, 3] = axes, 1.0
    return np.einsum("pji,pjqk,qkl->piql", frame, products.reshape(bones, 4, bones, 4), frame, optimize=True)


def _together(wanted: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns, scales and movements with little squared error of the vertices: bone after bone takes the best
    place for what the others leave over.
    """
    own = np.einsum("pipj->pij", products)
    own = own + np.eye(4) * (1e-6 * np.trace(own, axis1=1, axis2=2)[:, None, None] + 1e-30)
    turn, scale = _turn_and_scale(wanted[..., :3], own[:, :3, :3])
    move = wanted[..., 3].copy()
    missing = np.concatenate([turn * scale[..., None, :], move[..., None]], axis=-1) - wanted
    for _ in range(_PASSES):
        for j in range(len(own)):
            missing[:, j] = 0.0
            left_over = np.einsum("tqik,qkl->til", missing, products[:, :, j], optimize=True)
            target = wanted[:, j] - left_over @ np.linalg.inv((1.0 + _HOLD) * own[j])
            turn[:, j], scale[:, j] = _turn_and_scale(target[..., :3], own[j, :3, :3], turn[:, j], 2)
            move[:, j] = target[..., 3]
            missing[:, j, :, :3] = turn[:, j] * scale[:, j, None, :] - wanted[:, j, :, :3]
            missing[:, j, :, 3] = move[:, j] - wanted[:, j, :, 3]
    return turn, scale, move


def _nearest_turn(linear: np.ndarray) -> np.ndarray:
    """Proper rotations (..., 3, 3) with the largest trace against `linear`."""
    left, _, right = np.linalg.svd(linear)
    sign = np.ones(linear.shape[:-1])
    sign[..., 2] = np.where(np.linalg.det(left @ right) < 0.0, -1.0, 1.0)
    return (left * sign[..., None, :]) @ right


def _turn_and_scale(
    linear: np.ndarray, metric: np.ndarray, start: np.ndarray | None = None, rounds: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations Q and scales s (..., 3) with small tr((Q S - F) C (Q S - F)^T), by turns exact in each."""
    diagonal = np.einsum("...ii->...i", metric)
    weighted = linear @ metric
    turn = _nearest_turn(linear) if start is None else start
    for _ in range(rounds):
        scale = np.einsum("...ji,...ji->...i", turn, weighted) / diagonal
        turn = _nearest_turn(weighted * scale[..., None, :])
    return turn, np.einsum("...ji,...ji->...i", turn, weighted) / diagonal


def _steady_axes(linear: np.ndarray) -> np.ndarray:
    """Proper frames V (T, P, 3, 3) whose columns are the axes of the stretch of `linear`, each frame as near
    to the one before as it can be.
    """
    strength, axes = np.linalg.eigh(np.swapaxes(linear, -1, -2) @ linear)
    before = np.broadcast_to(np.eye(3), axes.shape[1:])
    found = np.empty_like(axes)
    for t in range(len(axes)):
        fit = np.einsum("pji,pjk,nik->pn", before, axes[t], np.swapaxes(_ORDERS, 1, 2), optimize=True)
        order = _ORDERS[np.argmax(fit * np.linalg.det(axes[t])[:, None], axis=1)]
        frame = axes[t] @ order * np.linalg.det(axes[t])[:, None, None]
        values = np.einsum("pi,pij->pj", strength[t], np.abs(order))
        before = found[t] = _free_angles(frame, values, before)
    return found


def _free_angles(frame: np.ndarray, strength: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Frames (P, 3, 3) turned towards `before` in the planes where the stretch is the same all around."""
    for p, q in ((0, 1), (1, 2), (0, 2)):
        level = np.abs(strength[:, p] - strength[:, q]) <= _SAME * strength.max(axis=1)
        overlap = np.einsum("pji,pjk->pik", frame, before)
        angle = np.arctan2(overlap[:, q, p] - overlap[:, p, q], overlap[:, p, p] + overlap[:, q, q])
        frame = frame @ _planar(np.where(level, angle, 0.0), p, q)
    return frame


def _quaternions(turn: np.ndarray) -> np.ndarray:
    """(T, P, 4) of rotations (T, P, 3, 3), continuous over the frames."""
    quaternions = rotation.from_matrix(turn)
    return np.stack([rotation.continuous(quaternions[:, j]) for j in range(turn.shape[1])], axis=1)


def _proper_orders() -> np.ndarray:
    """(24, 3, 3) the rotations that exchange and flip axes."""
    signs = [np.diag(sign) for sign in product((1.0, -1.0), repeat=3)]
    every = [np.eye(3)[list(order)] @ sign for order in permutations(range(3)) for sign in signs]
    return np.array([m for m in every if np.linalg.det(m) > 0.0])


_ORDERS = _proper_orders()
