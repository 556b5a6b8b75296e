# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's Gaussians in one moment as a plain set, as formats without triangles hold it."""

from __future__ import annotations

import numpy as np

from .bound import COLOUR, LOG_SCALE, MEAN, OPACITY, ROTATION
from .files.axes import harmonics
from .files.triangles import Frames, frames_of, posed
from .gaussians import SH_C0, Gaussians
from .splat_avatar import SplatAvatar

Array = np.ndarray

_TOGETHER = 4096
"""Triangles whose colours are turned at once: 30 MB at degree 3."""


def local_gaussians(splats: SplatAvatar, latent: Array) -> Gaussians:
    """Local to the triangles, with what the expression `latent` (R,) adds to them."""
    gaussians = splats.gaussians
    used = gaussians.local(latent)
    sh = gaussians.sh.copy()
    sh[:, 0] += used[:, COLOUR] / np.float32(SH_C0)
    return Gaussians(used[:, MEAN], used[:, LOG_SCALE], used[:, ROTATION], used[:, OPACITY], sh)


def world_gaussians(splats: SplatAvatar, vertices: Array, latent: Array) -> Gaussians:
    """In the frame of the vertices (n, 3), rows of the surface, colours turned with the triangles."""
    frames, binding = frames_of(vertices, splats.surface.triangles), splats.gaussians.binding
    found = posed(local_gaussians(splats, latent), binding, frames)
    if splats.gaussians.degree == 0:
        return found
    turned = _turned_colours(found.sh, binding, frames, splats.surface.rest_frames)
    return Gaussians(found.means, found.log_scales, found.rotations, found.opacity_logits, turned)


def _turned_colours(sh: Array, binding: Array, frames: Frames, rest: Frames) -> Array:
    """(n, k, 3) coefficients turned by each one's triangle against its rest: fitted to fixed directions,
    which is exact for each degree.
    """
    degree = round(sh.shape[1] ** 0.5) - 1
    directions = _directions()
    fit = np.linalg.pinv(harmonics(directions, degree))
    turned = np.empty_like(sh)
    triangles, first = np.unique(binding, return_index=True)
    ends = np.append(first[1:], len(binding))
    for start in range(0, len(triangles), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        turn = frames.axes[triangles[some]] @ rest.axes[triangles[some]].transpose(0, 2, 1)
        before = harmonics((directions @ turn).reshape(-1, 3), degree)
        matrices = fit @ before.reshape(len(turn), len(directions), -1)
        rows = slice(first[start], ends[some][-1])
        which = np.searchsorted(triangles[some], binding[rows])
        turned[rows] = np.einsum("nkj,njc->nkc", matrices.astype(np.float32)[which], sh[rows])
    return turned


def _directions() -> Array:
    """(32, 3) unit vectors, evenly over the sphere."""
    n = np.arange(32) + 0.5
    height, turn = 1 - n / 16, n * np.pi * (1 + 5**0.5)
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
