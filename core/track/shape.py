# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain geometry of landmarks: boxes, similarity alignment, and which way a face looks."""

from __future__ import annotations

import numpy as np

FACE = 468
"""Landmarks of the surface; those of the irises follow."""
_LEFT_CHEEK, _RIGHT_CHEEK, _FOREHEAD, _CHIN = 454, 234, 10, 152


def boxes(landmarks: np.ndarray) -> np.ndarray:
    """(..., 4) left, top, right, bottom of landmarks (..., 478, 3), in their unit."""
    points = landmarks[..., :FACE, :2]
    return np.concatenate([points.min(axis=-2), points.max(axis=-2)], axis=-1)


def box_size(box: np.ndarray) -> np.ndarray:
    """(...,) geometric mean of width and height of boxes (..., 4)."""
    extent = np.maximum(box[..., 2:] - box[..., :2], 0.0)
    return np.sqrt(extent[..., 0] * extent[..., 1])


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) shared area over joint area of one box (4,) with others (N, 4), 0..1."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    joint = box_size(box) ** 2 + box_size(others) ** 2 - shared
    return shared / np.maximum(joint, 1e-9)


def aligned(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(T, N, 2) `points` moved, turned and scaled, each row by its own least-squares similarity, onto
    `target` (T, N, 2).

    In the plane this is complex regression: a = <conj(p), q> / <p, p>. NaN rows stay NaN.
    """
    p = points[..., 0] + 1j * points[..., 1]
    q = target[..., 0] + 1j * target[..., 1]
    p0, q0 = p.mean(axis=-1, keepdims=True), q.mean(axis=-1, keepdims=True)
    p, q = p - p0, q - q0
    power = np.sum(np.abs(p) ** 2, axis=-1, keepdims=True)
    factor = np.sum(np.conj(p) * q, axis=-1, keepdims=True) / np.where(power > 0, power, 1.0)
    moved = factor * p + q0
    return np.stack([moved.real, moved.imag], axis=-1)


def profile_angle(landmarks: np.ndarray) -> np.ndarray:
    """(...,) radians between where a face (..., 478, 3) looks and the line to the camera: 0 frontal, about
    pi/2 in profile. From the plane through cheeks, forehead and chin.
    """
    across = landmarks[..., _LEFT_CHEEK, :] - landmarks[..., _RIGHT_CHEEK, :]
    down = landmarks[..., _CHIN, :] - landmarks[..., _FOREHEAD, :]
    normal = np.cross(across, down)
    length = np.linalg.norm(normal, axis=-1)
    cosine = np.abs(normal[..., 2]) / np.where(length > 0, length, 1.0)
    return np.arccos(np.clip(cosine, 0.0, 1.0))
