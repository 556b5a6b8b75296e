# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of a head before a pinhole camera, with the derivatives that every fit here is made of.

Frames as in `core.camera`: a point p of the head is at R p + t in the view frame. Rotations are updated from
the left, R <- exp(w) R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

NEAREST = 0.02
"""Metres: points are kept this far before the camera, so that a wild step cannot divide by zero."""


@dataclass(frozen=True)
class Lens:
    """Focal length and principal point, both in px as shown."""

    focal: float
    centre: Array
    """(2,) float64: x right, y down."""


@dataclass(frozen=True)
class Pose:
    """Where a head is in the view frame."""

    rotation: Array
    """(3, 3) float64."""
    translation: Array
    """(3,) float64 metres."""

    def moved(self, step: Array) -> Pose:
        """The pose after a step ((6,): rotation vector in radians, metres)."""
        return Pose(orthonormal(exponential(step[:3]) @ self.rotation), self.translation + step[3:])


def exponential(vector: Array) -> Array:
    """Rotation matrix (3, 3) of a rotation vector (3,), Rodrigues' formula."""
    angle = float(np.sqrt(vector @ vector))
    cross = skew(vector)
    if angle < 1e-9:
        return np.eye(3) + cross
    return np.eye(3) + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / angle**2 * (cross @ cross)


def skew(vector: Array) -> Array:
    """The matrix (3, 3) whose product with v is the cross product vector x v."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def orthonormal(matrix: Array) -> Array:
    """The nearest rotation, by one Newton step: rounding must not add up over a take."""
    return matrix @ (1.5 * np.eye(3) - 0.5 * (matrix.T @ matrix))


def project(points: Array, pose: Pose, lens: Lens) -> tuple[Array, Array, Array]:
    """Points (n, 3) of the head to px (n, 2), their view positions from the head's origin (n, 3), and
    d px / d view position (n, 2, 3).
    """
    arm = points @ pose.rotation.T
    view = arm + pose.translation
    near = 1.0 / np.maximum(-view[:, 2], NEAREST)
    scale = lens.focal * near
    px = np.empty((len(points), 2))
    px[:, 0] = view[:, 0] * scale + lens.centre[0]
    px[:, 1] = lens.centre[1] - view[:, 1] * scale
    slope = np.zeros((len(points), 2, 3))
    slope[:, 0, 0] = scale
    slope[:, 1, 1] = -scale
    slope[:, 0, 2] = view[:, 0] * scale * near
    slope[:, 1, 2] = -view[:, 1] * scale * near
    return px, arm, slope


def pose_columns(arm: Array, slope: Array) -> Array:
    """Derivatives of px by rotation step and translation step, (n, 2, 6)."""
    columns = np.empty((len(arm), 2, 6))
    columns[:, :, 3:] = slope
    # d (w x arm) / dw = -skew(arm), so its rows are cross products of the slope's rows with arm.
    x, y, z = arm[:, None, 0], arm[:, None, 1], arm[:, None, 2]
    a, b, c = slope[..., 0], slope[..., 1], slope[..., 2]
    columns[:, :, 0] = c * y - b * z
    columns[:, :, 1] = a * z - c * x
    columns[:, :, 2] = b * x - a * y
    return columns


def shape_columns(shapes: Array, slope: Array, rotation: Array) -> Array:
    """Derivatives of px by the weight of each shape ((n, 3, E), head frame), (n, 2, E)."""
    turned = slope @ rotation
    return np.matmul(turned, shapes)
