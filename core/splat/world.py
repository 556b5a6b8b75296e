# SPDX-License-Identifier: GPL-3.0-or-later
"""Bound Gaussians at one moment as plain ones, for files and programs that know nothing of triangles."""

from __future__ import annotations

import numpy as np

from .bound import COLOUR, LOG_SCALE, MEAN, OPACITY, ROTATION
from .files.triangles import frames_of, posed
from .gaussians import SH_C0, Gaussians
from .splat_avatar import SplatAvatar
from .turn_sh import turned

Array = np.ndarray


def world_gaussians(avatar: SplatAvatar, vertices: Array, latent: Array) -> Gaussians:
    """The Gaussians on the surface's vertices (n, 3) metres at a latent (R,), in the vertices' frame.

    Drawn from anywhere they look as `playback.place` makes them: the harmonics are turned with the triangles,
    what the latent adds to the colour is in their constant part.
    """
    surface, binding = avatar.surface, avatar.gaussians.binding
    frames = frames_of(vertices, surface.triangles)
    turns = frames.axes @ surface.rest_frames.axes.swapaxes(1, 2)
    world = posed(local_gaussians(avatar, latent), binding, frames)
    return Gaussians(
        world.means,
        world.log_scales,
        world.rotations,
        world.opacity_logits,
        turned(world.sh, turns[binding]),
    )


def local_gaussians(avatar: SplatAvatar, latent: Array) -> Gaussians:
    """The Gaussians at a latent (R,), local to their triangles; harmonics as they are with these at rest."""
    used = avatar.gaussians.local(latent)
    sh = avatar.gaussians.sh.copy()
    sh[:, 0] += used[:, COLOUR] / np.float32(SH_C0)
    return Gaussians(used[:, MEAN], used[:, LOG_SCALE], used[:, ROTATION], used[:, OPACITY], sh)
