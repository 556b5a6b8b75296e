# SPDX-License-Identifier: GPL-3.0-or-later
"""Forward kinematics and linear blend skinning in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import ModelError

Array = np.ndarray


def joint_transforms(
    heads: Array, parents: Array, names: Sequence[str], rotations: Mapping[str, Array]
) -> Array:
    """Transforms (J, 3, 4) float64 that carry rest points to posed points, one per joint.

    Each rotation is a (3, 3) matrix in the axes of the model (not of the bone), about the joint's own head,
    and carries the joint's children with it: G_c = G_parent . T(head) R T(-head). Joints without one follow
    their parent.
    `heads`: (J, 3) metres. `parents`: (J,), -1 for the root; a parent comes before its children.
    """
    unknown = set(rotations) - set(names)
    if unknown:
        raise ModelError(f"The head model has no joint named {sorted(unknown)[0]!r}.")
    transforms = np.empty((len(parents), 3, 4))
    for joint, parent in enumerate(parents):
        local = rotations.get(names[joint])
        if parent < 0:
            above_rotation, above_translation = np.eye(3), np.zeros(3)
        else:
            above_rotation, above_translation = transforms[parent, :, :3], transforms[parent, :, 3]
        if local is None:
            transforms[joint, :, :3], transforms[joint, :, 3] = above_rotation, above_translation
            continue
        head = heads[joint].astype(np.float64)
        transforms[joint, :, :3] = above_rotation @ local
        transforms[joint, :, 3] = above_rotation @ (head - local @ head) + above_translation
    return transforms


def skin(vertices: Array, weights: Array, transforms: Array) -> Array:
    """Linear blend skinning, (V, 3) float32.

    `weights`: dense (V, J) float32, rows sum to 1. One matrix product over all joints is faster in numpy
    than gathering the few that matter: it runs in BLAS. `transforms`: (J, 3, 4).
    """
    blended = (weights @ transforms.reshape(len(transforms), 12).astype(np.float32)).reshape(-1, 3, 4)
    posed = blended[:, :, 3].copy()
    for axis in range(3):
        posed += blended[:, :, axis] * vertices[:, axis, None]
    return posed


def rest_rotations(heads: Array, tails: Array, rolls: Array) -> Array:
    """Bone axes (J, 3, 3): y along the bone by the smallest turn, then the roll about it, as Blender
    orients bones.

    `rolls`: (J,) radians. Axes are those of the frame that heads and tails ((J, 3)) are given in.
    """
    direction = tails - heads
    direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    cross = np.cross([0.0, 1.0, 0.0], direction)
    cosine = direction[:, 1]
    result = np.empty((len(heads), 3, 3))
    for joint, (axis, c) in enumerate(zip(cross, cosine, strict=True)):
        result[joint] = _turn(axis, float(c)) @ _about_y(float(rolls[joint]))
    return result


def _turn(axis: Array, cosine: float) -> Array:
    """Rodrigues for an axis whose length is the sine; the half turn, which has no axis, goes about x."""
    if cosine < -1.0 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + k + k @ k / (1.0 + cosine)


def _about_y(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
