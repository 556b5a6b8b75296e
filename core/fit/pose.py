# SPDX-License-Identifier: GPL-3.0-or-later
"""Head pose from landmarks: rotation and translation of known points before a known camera."""

from __future__ import annotations

import numpy as np

from ..errors import SettingsError
from .projection import Lens, Pose, pose_columns, project

Array = np.ndarray

ITERATIONS = 8


def head_pose(
    points: Array, landmarks: Array, lens: Lens, sigma: Array | float = 1.0, start: Pose | None = None
) -> tuple[Pose, float]:
    """The pose that brings `points` ((n, 3) metres, head frame) onto `landmarks` ((n, 2) px), and the rms
    error in px.

    `sigma`: px, one for all or (n,) each. Without `start` it begins from a scaled orthographic solution,
    which needs no guess. Robust against outliers (Cauchy weights). SettingsError for fewer than four points
    or a degenerate set of them.
    """
    points, landmarks = np.asarray(points, np.float64), np.asarray(landmarks, np.float64)
    if len(points) < 4 or len(points) != len(landmarks):
        raise SettingsError(f"A head pose needs four or more landmarks, not {len(points)}.")
    pose = start or orthographic_pose(points, landmarks, lens)
    spread = np.broadcast_to(np.asarray(sigma, np.float64), len(points))[:, None]
    errors = np.zeros((len(points), 2))
    for _ in range(ITERATIONS):
        px, arm, slope = project(points, pose, lens)
        errors = landmarks - px
        squared = np.sum((errors / spread) ** 2, axis=1)
        weight = (
            np.sqrt(1.0 / (1.0 + squared / max(float(np.median(squared)), 1e-12) / 4.0))[:, None] / spread
        )
        jacobian = (pose_columns(arm, slope) * weight[..., None]).reshape(-1, 6)
        normal = jacobian.T @ jacobian
        step = np.linalg.solve(
            normal + 1e-9 * np.trace(normal) * np.eye(6), jacobian.T @ (errors * weight).ravel()
        )
        pose = pose.moved(step)
        if np.max(np.abs(step)) < 1e-7:
            break
    return pose, float(np.sqrt(np.mean(np.sum(errors**2, axis=1))))


def orthographic_pose(points: Array, landmarks: Array, lens: Lens) -> Pose:
    """The pose under scaled orthographic projection (POS of DeMenthon and Davis 1995), put at the distance
    that gives this scale before the lens.
    """
    centre = points.mean(axis=0)
    middle = landmarks.mean(axis=0)
    upright = (landmarks - middle) * np.array([1.0, -1.0])
    affine, *_ = np.linalg.lstsq(points - centre, upright, rcond=None)
    scale = float(np.mean(np.linalg.norm(affine, axis=0)))
    if not np.isfinite(scale) or scale < 1e-6:
        raise SettingsError("The landmarks all lie in one place, so they give no head pose.")
    first, second = affine.T / scale
    left, _, right = np.linalg.svd(np.stack([first, second, np.cross(first, second)]))
    rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    depth = lens.focal / scale
    at = np.array([*((middle - lens.centre) * np.array([1.0, -1.0]) / scale), -depth])
    return Pose(rotation, at - rotation @ centre)
