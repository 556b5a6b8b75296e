# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's acting as Gaussians on a moving mesh, and what is lost by that.

The format moves triangles and nothing else. Of what the expression does to the Gaussians, the mesh takes what
neighbours share of their motion, and those that would be most wrong get triangles of their own. Colours,
opacities and proportions are held at the mean of the take, and colours do not turn with the triangles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..progress import Progress, silent
from .acting import Acting
from .camera_path import shots
from .device import render
from .files.animated_ply import AnimatedSplats, read_animated_ply, write_animated_ply
from .gaussians import Activated, Gaussians
from .mesh_motion import mesh_motion
from .own_triangles import corners, on_own
from .player import Player
from .splat_avatar import SplatAvatar
from .world import local_gaussians

Array = np.ndarray

COMPARED = 8
"""Moments of the take in which the file is compared with the avatar."""
_FIELDS = ("means", "log_scales", "rotations", "opacity_logits", "sh")
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


def animated(player: Player, acting: Acting, own: float = 0.0) -> AnimatedSplats:
    """The Gaussians on a mesh, and this in every sample: the triangles of the head that carry one, and after
    them those of the share `own` of the Gaussians that get triangles of their own.
    """
    splats = player.splats
    latents = splats.gaussians.basis.latent(acting.weights)
    middle = latents.mean(axis=0)
    usual = player.vertices(acting.weights.mean(axis=0), acting.gaze.mean(axis=0))
    motion, wrong = mesh_motion(splats, usual, middle)
    alone = _worst(wrong, own)
    shared, lone = (replace(splats, gaussians=splats.gaussians.taken(part)) for part in (~alone, alone))
    used, binding = np.unique(shared.gaussians.binding, return_inverse=True)
    rows, faces = np.unique(splats.surface.triangles[used], return_inverse=True)
    track = np.empty((len(acting), len(rows) + 3 * len(lone.gaussians), 3), np.float32)
    for number, latent in enumerate(latents):
        vertices = player.vertices(acting.weights[number], acting.gaze[number])
        track[number, : len(rows)] = vertices[rows] + np.tensordot(latent - middle, motion[:, rows], 1)
        track[number, len(rows) :] = corners(_posed(lone, vertices, latent)).reshape(-1, 3)
    own_faces = len(rows) + np.arange(3 * len(lone.gaussians)).reshape(-1, 3)
    plain = local_gaussians(lone, middle)
    parts = local_gaussians(shared, middle), on_own(_posed(lone, usual, middle), plain)
    return AnimatedSplats(
        np.r_[faces.reshape(-1, 3), own_faces],
        track[0],
        Gaussians(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS)),
        np.r_[binding.reshape(-1), len(used) + np.arange(len(lone.gaussians))],
        track - track[0],
    )


def _posed(splats: SplatAvatar, vertices: Array, latent: Array) -> Activated:
    from .posing import pose

    return pose(splats.gaussians, splats.surface, vertices, latent, np.zeros(3)).activated


def _worst(wrong: Array, share: float) -> Array:
    """(n,) bool: the share of the Gaussians that are most wrong, of those that are wrong at all."""
    count = round(share * len(wrong))
    found = np.zeros(len(wrong), bool)
    found[np.argsort(-wrong, kind="stable")[:count]] = True
    return found & (wrong > 0)


def write_animated(
    player: Player,
    acting: Acting,
    path: Path,
    form: str = "uint16",
    own: float = 0.0,
    progress: Progress = silent,
) -> Loss:
    """Write the animated PLY and look at what is in it."""
    progress(0.0, "export", f"Posing {len(acting)} frames")
    splats = animated(player, acting, own)
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
