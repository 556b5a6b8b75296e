# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians turned and moved: between the axes of files, and by the transforms of a scene.

Colours depend on the direction of view, so their coefficients are turned as well: the matrix of a turn is
found by evaluating the basis in fixed directions before and after, which is exact for each degree.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ... import rotation
from ...errors import SplatError
from ..gaussians import Gaussians

Array = np.ndarray

HALF_TURN = np.diag([1.0, -1.0, -1.0])
"""Between the frame of the head (y up, z out of the face) and OpenCV's axes (y down, z forward): its own
inverse.
"""
AXES = {"head": np.eye(3), "opencv": HALF_TURN}
"""Axes a file may have: the matrix that takes the frame of the head there. 'head' is also SPZ's RUB and
glTF's; 'opencv' is what most tools expect of a PLY (RDF).
"""
_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
_C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)
_SAME = 1e-6
"""Relative difference of the axes of a transform below which its scale is one number."""


def harmonics(directions: Array, degree: int) -> Array:
    """(n, (degree + 1)^2) values of the usual real basis at unit directions (n, 3), in the order and with
    the signs of 3DGS (Condon-Shortley phase; glTF KHR_gaussian_splatting, appendix A).
    """
    x, y, z = np.asarray(directions, np.float64).T
    xx, yy, zz = x * x, y * y, z * z
    parts = [np.full_like(x, 0.28209479177387814), -_C1 * y, _C1 * z, -_C1 * x]
    parts += [_C2[0] * x * y, -_C2[0] * y * z, _C2[1] * (2 * zz - xx - yy), -_C2[0] * x * z]
    parts += [_C2[2] * (xx - yy), -_C3[0] * y * (3 * xx - yy), _C3[1] * x * y * z]
    parts += [-_C3[2] * y * (4 * zz - xx - yy), _C3[3] * z * (2 * zz - 3 * xx - 3 * yy)]
    parts += [-_C3[2] * x * (4 * zz - xx - yy), _C3[4] * z * (xx - yy), -_C3[0] * x * (xx - 3 * yy)]
    return np.stack(parts[: (degree + 1) ** 2], axis=1)


@cache
def _directions() -> Array:
    """(64, 3) spread over the sphere; 16 would do."""
    n = np.arange(64) + 0.5
    height, turn = 1 - 2 * n / 64, n * np.pi * (1 + 5**0.5)
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)


def harmonics_turn(matrix: Array, degree: int) -> Array:
    """(k, k) matrix that turns coefficients (k, channels) of k = (degree + 1)^2 with a rotation (3, 3)."""
    directions = _directions()
    turned = harmonics(directions @ np.asarray(matrix, np.float64).T, degree)
    return np.round(np.linalg.pinv(turned) @ harmonics(directions, degree), 13)


def turned_sh(sh: Array, matrix: Array) -> Array:
    """Coefficients (n, k, 3) of colours that turn with a rotation (3, 3)."""
    degree = round(sh.shape[1] ** 0.5) - 1
    if degree == 0 or np.array_equal(matrix, np.eye(3)):
        return sh
    turn = harmonics_turn(matrix, degree).astype(np.float32)
    if np.array_equal(turn, np.diag(np.diag(turn))):
        return sh * np.diag(turn)[:, None]  # half turns about an axis only change signs
    return np.einsum("kj,njc->nkc", turn, sh, optimize=True)


def turned(gaussians: Gaussians, matrix: Array) -> Gaussians:
    """The whole set turned about the origin by a rotation (3, 3)."""
    if np.array_equal(matrix, np.eye(3)):
        return gaussians
    turn = rotation.from_matrix(np.asarray(matrix, np.float64))
    return Gaussians(
        gaussians.means @ np.asarray(matrix, np.float64).T,
        gaussians.log_scales,
        rotation.multiply(turn, gaussians.rotations),
        gaussians.opacity_logits,
        turned_sh(gaussians.sh, matrix),
    )


def moved(gaussians: Gaussians, matrix: Array) -> Gaussians:
    """The set under an affine transform (4, 4) with positive determinant; SplatError for another.

    Under stretching the ellipsoids get new axes; colours turn with the rotation next to the transform.
    """
    if np.array_equal(matrix, np.eye(4)):
        return gaussians
    linear = np.asarray(matrix, np.float64)[:3, :3]
    left, sizes, right = np.linalg.svd(np.where(np.isfinite(matrix).all(), linear, 0.0))
    turn = left @ right
    if sizes.min() <= 0 or np.linalg.det(turn) < 0:
        raise SplatError("Gaussians cannot be mirrored or flattened by a transform.")
    means = gaussians.means @ linear.T + np.asarray(matrix, np.float64)[:3, 3]
    if sizes.max() - sizes.min() <= _SAME * sizes.max():
        scales = gaussians.log_scales + np.log(sizes.mean())
        quaternions = rotation.multiply(rotation.from_matrix(turn), gaussians.rotations)
    else:
        axes = (
            rotation.to_matrix(gaussians.rotations) * np.exp(gaussians.log_scales, dtype=np.float64)[:, None]
        )
        frames, lengths, _ = np.linalg.svd(linear @ axes)
        frames[np.linalg.det(frames) < 0, :, 2] *= -1
        scales, quaternions = np.log(np.maximum(lengths, 1e-30)), rotation.from_matrix(frames)
    return Gaussians(means, scales, quaternions, gaussians.opacity_logits, turned_sh(gaussians.sh, turn))


def axes_matrix(axes: str) -> Array:
    """The matrix of `AXES`; SplatError for an unknown name."""
    if axes not in AXES:
        raise SplatError(f"The axes {axes!r} are unknown.", f"Known are {', '.join(AXES)}.")
    return AXES[axes]
