# SPDX-License-Identifier: GPL-3.0-or-later
"""Quaternions and angles in the head frame (+X the subject's left, +Y up, +Z out of the face).

Quaternions are float64 arrays (..., 4), w first, and act on column vectors. Angles are radians. `yaw` turns
the face to the subject's left, `pitch` lifts it, `roll` tilts it towards the subject's right shoulder.
"""

from __future__ import annotations

import numpy as np


def normalized(quaternions: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4); a zero quaternion becomes the identity."""
    q = np.asarray(quaternions, dtype=np.float64)
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    safe = np.where(length > 0.0, length, 1.0)
    return np.where(length > 0.0, q / safe, np.array([1.0, 0.0, 0.0, 0.0]))


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product `a * b` of quaternions (..., 4): first b, then a."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a, dtype=np.float64), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b, dtype=np.float64), -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def conjugate(q: np.ndarray) -> np.ndarray:
    """The inverse of unit quaternions (..., 4)."""
    return np.asarray(q, dtype=np.float64) * np.array([1.0, -1.0, -1.0, -1.0])


def mirrored(q: np.ndarray) -> np.ndarray:
    """The rotation (..., 4) seen in a mirror at x = 0 (left and right exchanged)."""
    return np.asarray(q, dtype=np.float64) * np.array([1.0, 1.0, -1.0, -1.0])


def from_rotation_vector(vectors: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) of rotation vectors (..., 3): axis times angle."""
    v = np.asarray(vectors, dtype=np.float64)
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    scale = 0.5 * np.sinc(angle / (2.0 * np.pi))  # sin(a/2)/a, and 1/2 at zero
    return np.concatenate([np.cos(angle / 2.0), scale * v], axis=-1)


def to_rotation_vector(q: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) of unit quaternions (..., 4), the short way round (angle at most pi)."""
    q = normalized(q)
    q = np.where(q[..., :1] < 0.0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[..., :1])
    scale = np.where(sine > 1e-12, angle / np.where(sine > 1e-12, sine, 1.0), 2.0)
    return scale * q[..., 1:]


def to_matrix(q: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    w, x, y, z = np.moveaxis(normalized(q), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(matrices: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) with w >= 0 of rotation matrices (..., 3, 3).

    Every component is formed from the largest diagonal sum, so that half turns keep their precision
    (Shepperd 1978).
    """
    m = np.asarray(matrices, dtype=np.float64)
    flat = m.reshape(-1, 3, 3)
    d0, d1, d2 = flat[:, 0, 0], flat[:, 1, 1], flat[:, 2, 2]
    w = flat[:, 2, 1] - flat[:, 1, 2], flat[:, 0, 2] - flat[:, 2, 0], flat[:, 1, 0] - flat[:, 0, 1]
    s = flat[:, 0, 1] + flat[:, 1, 0], flat[:, 0, 2] + flat[:, 2, 0], flat[:, 1, 2] + flat[:, 2, 1]
    forms = np.stack(
        [
            np.stack([1 + d0 + d1 + d2, w[0], w[1], w[2]], axis=-1),
            np.stack([w[0], 1 + d0 - d1 - d2, s[0], s[1]], axis=-1),
            np.stack([w[1], s[0], 1 - d0 + d1 - d2, s[2]], axis=-1),
            np.stack([w[2], s[1], s[2], 1 - d0 - d1 + d2], axis=-1),
        ],
        axis=1,
    )
    best = np.argmax(np.diagonal(forms, axis1=1, axis2=2), axis=-1)
    q = normalized(forms[np.arange(len(flat)), best])
    return np.where(q[:, :1] < 0.0, -q, q).reshape(*m.shape[:-2], 4)


def from_angles(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) of angles (...,) in radians: roll first, then pitch, then yaw about the
    upright axis.
    """
    yaw, pitch, roll = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (yaw, pitch, roll)))
    zero = np.zeros_like(yaw)
    about_y = np.stack([np.cos(yaw / 2), zero, np.sin(yaw / 2), zero], axis=-1)
    about_x = np.stack([np.cos(pitch / 2), -np.sin(pitch / 2), zero, zero], axis=-1)
    about_z = np.stack([np.cos(roll / 2), zero, zero, np.sin(roll / 2)], axis=-1)
    return multiply(about_y, multiply(about_x, about_z))


def to_angles(q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(yaw, pitch, roll) in radians of unit quaternions (..., 4), the inverse of `from_angles` for |pitch|
    < 90 degrees.
    """
    m = to_matrix(q)
    pitch = np.arcsin(np.clip(m[..., 1, 2], -1.0, 1.0))
    yaw = np.arctan2(m[..., 0, 2], m[..., 2, 2])
    roll = np.arctan2(m[..., 1, 0], m[..., 1, 1])
    return yaw, pitch, roll


def continuous(q: np.ndarray) -> np.ndarray:
    """Quaternions (T, 4) with signs chosen so that each is nearest to the one before (q and -q are one
    rotation).
    """
    q = np.asarray(q, dtype=np.float64)
    if len(q) < 2:
        return q.copy()
    flips = np.where(np.sum(q[1:] * q[:-1], axis=-1) < 0.0, -1.0, 1.0)
    return q * np.concatenate([[1.0], np.cumprod(flips)])[:, None]


def slerp(a: np.ndarray, b: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) at fractions u (...,) of the short way from a to b, at constant angular
    speed.
    """
    a, b = normalized(a), normalized(b)
    u = np.asarray(u, dtype=np.float64)[..., None]
    dot = np.sum(a * b, axis=-1, keepdims=True)
    b = np.where(dot < 0.0, -b, b)
    # The half-chord form keeps its precision for small angles, where arccos(dot) has none.
    half = np.arctan2(
        np.linalg.norm(b - a, axis=-1, keepdims=True), np.linalg.norm(b + a, axis=-1, keepdims=True)
    )
    angle = 2.0 * half
    sine = np.sin(angle)
    small = sine < 1e-9
    safe = np.where(small, 1.0, sine)
    wa = np.where(small, 1.0 - u, np.sin((1.0 - u) * angle) / safe)
    wb = np.where(small, u, np.sin(u * angle) / safe)
    return normalized(wa * a + wb * b)
