# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians bound to triangles, in the convention that GaussianAvatars, CAP4D and its viewer share.

For a triangle v0, v1, v2: the first axis is along v1 - v0, the second is the normal, the third, first x
second, lies in the plane and points away from v2; the scale is the mean of the first edge and of the height
over it; the origin is the middle. A Gaussian is local to that (formats-cap4d 1.8).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import rotation
from ..gaussians import Gaussians

Array = np.ndarray

_SMALLEST = 1e-12
"""Length of a vector below which a triangle has no area."""


@dataclass(frozen=True)
class Frames:
    """Where triangles are."""

    axes: Array
    """(F, 3, 3): the frame's axes are the columns."""
    scales: Array
    """(F,)"""
    middles: Array
    """(F, 3)"""


def frames_of(vertices: Array, faces: Array) -> Frames:
    """The frames of triangles (F, 3) of vertices (V, 3); degenerate ones get a tiny scale and some frame."""
    v0, v1, v2 = (np.asarray(vertices, np.float64)[faces[:, corner]] for corner in range(3))
    first, length = _unit(v1 - v0, [1.0, 0.0, 0.0])
    normal, area = _unit(np.cross(first, v2 - v0), [0.0, 1.0, 0.0])
    aside = np.abs(first).argmin(axis=1)
    other, _ = _unit(np.cross(first, np.eye(3)[aside]), [0.0, 1.0, 0.0])
    normal = np.where((area > _SMALLEST)[:, None], normal, other)
    third = -_unit(np.cross(normal, first), [0.0, 0.0, 1.0])[0]
    height = np.abs(np.einsum("fi,fi->f", third, v2 - v0))
    scales = np.maximum(0.5 * (length + height), _SMALLEST)
    return Frames(np.stack([first, normal, third], axis=2), scales, (v0 + v1 + v2) / 3)


def _unit(vectors: Array, otherwise: list[float]) -> tuple[Array, Array]:
    """Unit vectors (n, 3) and the lengths they had."""
    length = np.linalg.norm(vectors, axis=1)
    safe = length > _SMALLEST
    unit = np.where(safe[:, None], vectors / np.where(safe, length, 1.0)[:, None], otherwise)
    return unit, length


def posed(local: Gaussians, binding: Array, frames: Frames) -> Gaussians:
    """Gaussians that are local to the triangles `binding` (n,), in the frame of the vertices. Colours stay
    as they are: in these formats they belong to the world.
    """
    axes, scales = frames.axes[binding], frames.scales[binding]
    means = np.einsum("nij,nj->ni", axes, local.means) * scales[:, None] + frames.middles[binding]
    return Gaussians(
        means=means,
        log_scales=local.log_scales + np.log(scales)[:, None],
        rotations=rotation.multiply(rotation.from_matrix(frames.axes)[binding], local.rotations),
        opacity_logits=local.opacity_logits,
        sh=local.sh,
    )


def localised(world: Gaussians, binding: Array, frames: Frames) -> Gaussians:
    """The inverse of `posed`: Gaussians of the world, local to the triangles they are bound to."""
    axes, scales = frames.axes[binding], frames.scales[binding]
    means = np.einsum("nji,nj->ni", axes, world.means - frames.middles[binding]) / scales[:, None]
    turns = rotation.conjugate(rotation.from_matrix(frames.axes))[binding]
    return Gaussians(
        means=means,
        log_scales=world.log_scales - np.log(scales)[:, None],
        rotations=rotation.multiply(turns, world.rotations),
        opacity_logits=world.opacity_logits,
        sh=world.sh,
    )
