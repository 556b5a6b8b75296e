# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's acting as Gaussians on a moving mesh, and what is lost by that.

The format moves triangles and nothing else. What the expression does to the colours and shapes of the
Gaussians is held at its mean over the take, and colours do not turn with the triangles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..progress import Progress, silent
from .acting import Acting
from .camera_path import shots
from .files.animated_ply import AnimatedSplats, read_animated_ply, write_animated_ply
from .player import Player
from .raster import render
from .world import local_gaussians

Array = np.ndarray

COMPARED = 8
"""Moments of the take in which the file is compared with the avatar."""
_COVERED = 0.5
"""Alpha from which a pixel belongs to the head."""
_SMALLEST = 1e-10
"""Mean square of an error that counts as none: 100 dB."""


@dataclass(frozen=True)
class Loss:
    """How near a file is to the avatar, seen from the front, inside the head."""

    psnr: float
    """dB over all compared moments."""
    worst: float
    """dB of the worst of them."""


def animated(player: Player, acting: Acting) -> AnimatedSplats:
    """The Gaussians on those triangles that carry one, and these in every sample."""
    splats = player.splats
    latent = splats.gaussians.basis.latent(acting.weights).mean(axis=0)
    local = local_gaussians(splats, latent)
    used, binding = np.unique(splats.gaussians.binding, return_inverse=True)
    rows, faces = np.unique(splats.surface.triangles[used], return_inverse=True)
    track = np.empty((len(acting), len(rows), 3), np.float32)
    for number, (weights, gaze) in enumerate(zip(acting.weights, acting.gaze, strict=True)):
        track[number] = player.vertices(weights, gaze)[rows]
    return AnimatedSplats(faces.reshape(-1, 3), track[0], local, binding.reshape(-1), track - track[0])


def write_animated(
    player: Player, acting: Acting, path: Path, form: str = "uint16", progress: Progress = silent
) -> Loss:
    """Write the animated PLY and look at what is in it."""
    progress(0.0, "export", f"Posing {len(acting)} frames")
    splats = animated(player, acting)
    progress(0.4, "export", f"Writing {path.name}")
    write_animated_ply(path, splats, form)
    progress(0.7, "export", "Comparing the file with the avatar")
    return loss(player, acting, read_animated_ply(path))


def loss(player: Player, acting: Acting, splats: AnimatedSplats) -> Loss:
    """Compare frames of a file with the avatar in the same moments."""
    rows = np.unique(np.linspace(0, len(acting) - 1, COMPARED).astype(int))
    some = acting.at(rows)
    views = shots("front", some, player.splats.surface.rest, None)[0].views(some)
    white, errors = (1.0, 1.0, 1.0), []
    for row, view in zip(rows.tolist(), views, strict=True):
        full = player.draw(acting.weights[row], acting.gaze[row], view, white)
        plain = render(splats.posed(row), view, white)
        inside = (full.alpha > _COVERED) | (plain.alpha > _COVERED)
        difference = np.clip(full.image, 0, 1) - np.clip(plain.image, 0, 1)
        errors.append(float(np.mean(difference[inside] ** 2)) if inside.any() else 0.0)
    return Loss(_decibels(float(np.mean(errors))), _decibels(max(errors)))


def _decibels(error: float) -> float:
    return -10.0 * float(np.log10(max(error, _SMALLEST)))
