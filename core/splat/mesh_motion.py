# SPDX-License-Identifier: GPL-3.0-or-later
"""What an expression does to the places of Gaussians, as far as a mesh that carries them can do it.

A format that moves triangles only has no offsets for each Gaussian. Much of these is shared by neighbours,
and a few millimetres of motion of the vertices stand for that: least squares, once for each latent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .bound import LOG_SCALE, MEAN, OPACITY
from .files.triangles import Frames, frames_of
from .splat_avatar import SplatAvatar

Array = np.ndarray

STIFFNESS = 0.3
"""How dear it is that neighbours move apart, against an error of an average Gaussian."""
_GROUND = 1e-4
"""The same of any motion, so that vertices without Gaussians stay."""
_STEP = 1e-6
"""Metres: for slopes."""


def mesh_motion(splats: SplatAvatar, vertices: Array, latent: Array) -> tuple[Array, Array]:
    """(R, V, 3) metres that the surface's vertices move per unit of each latent, and (n,) how wrong each
    Gaussian is still: how far off, for latents of deviation 1, times the root of its opacity and area.

    vertices: (V, 3) metres, the surface as it is at the latent (R,) that the offsets are counted from.
    """
    from scipy import sparse
    from scipy.sparse.linalg import splu

    gaussians, corners = splats.gaussians, splats.surface.triangles
    if not len(gaussians.basis):
        return np.zeros((0, len(vertices), 3), np.float32), np.zeros(len(gaussians))
    points = np.asarray(vertices, np.float64)
    used = gaussians.local(latent).astype(np.float64)
    frames = frames_of(points, corners)
    wanted = _wanted(splats, frames)
    count, size = len(gaussians), 3 * len(points)
    places = 3 * corners[gaussians.binding][:, None, :, None] + np.arange(3)
    columns = np.broadcast_to(places, (count, 3, 3, 3)).ravel()
    rows = np.repeat(np.arange(3 * count), 9)
    slopes = _slopes(points[corners], used[:, MEAN], gaussians.binding).ravel()
    moves = sparse.csr_matrix((slopes, (rows, columns)), (3 * count, size))
    importance = _importance(used, frames, gaussians.binding)
    weighed = moves.T @ sparse.diags(np.repeat(importance, 3))
    stiff = sparse.kron(_differences(corners, len(points)), sparse.eye(3))
    matrix = weighed @ moves + STIFFNESS * stiff + _GROUND * sparse.eye(size)
    flat = wanted.transpose(0, 2, 1).reshape(3 * count, -1)
    found = splu(matrix.tocsc()).solve(np.asarray(weighed @ flat))
    left = (flat - moves @ found).reshape(count, -1)
    motion = found.reshape(len(points), 3, -1).transpose(2, 0, 1)
    return np.ascontiguousarray(motion, np.float32), np.sqrt(importance) * np.linalg.norm(left, axis=1)


def _wanted(splats: SplatAvatar, frames: Frames) -> Array:
    """(n, R, 3) metres that each Gaussian moves per unit of each latent."""
    gaussians, binding = splats.gaussians, splats.gaussians.binding
    local = gaussians.offsets[:, :, MEAN].astype(np.float64)
    return np.einsum("nij,nrj->nri", frames.axes[binding], local) * frames.scales[binding][:, None, None]


def _importance(used: Array, frames: Frames, binding: Array) -> Array:
    """(n,) how much of a picture each Gaussian is: opacity times area, 1 on average."""
    widths = np.sort(np.exp(used[:, LOG_SCALE]) * frames.scales[binding][:, None], axis=1)
    share = widths[:, 1] * widths[:, 2] / (1.0 + np.exp(-used[:, OPACITY]))
    return share / max(float(share.mean()), 1e-30)


def _slopes(corners: Array, local: Array, binding: Array) -> Array:
    """(n, 3, 3, 3): of each Gaussian's place by corner and axis of its triangle (F, 3, 3)."""
    alone = corners.reshape(-1, 3)
    triangles = np.arange(len(alone)).reshape(-1, 3)
    before = _places(alone, triangles, local, binding)
    found = np.empty((len(binding), 3, 3, 3))
    for corner in range(3):
        for axis in range(3):
            moved = alone.copy()
            moved[corner::3, axis] += _STEP
            found[:, :, corner, axis] = (_places(moved, triangles, local, binding) - before) / _STEP
    return found


def _places(points: Array, triangles: Array, local: Array, binding: Array) -> Array:
    frames = frames_of(points, triangles)
    turned = np.einsum("nij,nj->ni", frames.axes[binding], local)
    return turned * frames.scales[binding][:, None] + frames.middles[binding]


def _differences(triangles: Array, count: int) -> Any:
    """(count, count) sparse: the form whose value is how far the ends of all edges move apart, squared."""
    from scipy import sparse

    sides = np.sort(np.concatenate([triangles[:, pair] for pair in ([0, 1], [1, 2], [0, 2])]), axis=1)
    sides = np.unique(sides, axis=0)
    rows = np.repeat(np.arange(len(sides)), 2)
    signs = np.tile([1.0, -1.0], len(sides))
    edges = sparse.csr_matrix((signs, (rows, sides.ravel())), (len(sides), count))
    return edges.T @ edges
