# SPDX-License-Identifier: GPL-3.0-or-later
"""A patch of Gaussians that acts, and an avatar of the head that ships with Gaussians on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core import rotation
from core.avatar import Avatar
from core.camera import Camera
from core.head import load_model
from core.performance import Performance
from core.splat.expression_basis import fit_basis
from core.splat.initial import initial
from core.splat.player import Player
from core.splat.splat_avatar import SplatAvatar
from tests.core.splat_bound_samples import avatar_of

Array = np.ndarray


class Waving:
    """Moves the patch: every weight shifts and bends it a little, the gaze turns it."""

    def __init__(self, splats: SplatAvatar) -> None:
        rng = np.random.default_rng(4)
        self.rest = splats.surface.rest
        self.shapes = rng.normal(0, 0.0015, (52, *self.rest.shape))

    def points(self, weights: Array, gaze: Array) -> Array:
        yaw, pitch = np.asarray(gaze)[0]
        turn = rotation.to_matrix(rotation.from_angles(yaw, pitch, np.zeros(())))
        moved = self.rest + np.tensordot(np.asarray(weights, np.float64), self.shapes, 1)
        return (moved @ turn.T).astype(np.float32)


def patch_player(count: int = 300, degree: int = 1, latents: int = 3) -> Player:
    """A player of the patch."""
    splats = avatar_of(count, degree, latents)
    head: Any = Waving(splats)
    return Player(splats, head)


def take(name: str, frames: int = 7, seed: int = 0, **further: Any) -> Performance:
    """Somebody who sits crooked before a camera, nods and talks."""
    rng = np.random.default_rng(seed)
    crooked = rotation.from_angles(*rng.normal(0, 0.3, 3))
    swing = np.linspace(0, 2 * np.pi, frames, endpoint=False)
    own = rotation.from_angles(0.3 * np.sin(swing), 0.2 * np.cos(swing), 0.1 * np.sin(2 * swing))
    values: dict[str, Any] = {
        "time": 0.5 + np.arange(frames) / 25.0,
        "weights": rng.uniform(0, 0.9, (frames, 52)),
        "head_rotation": rotation.multiply(crooked, own),
        "head_translation": rng.normal(0, 0.01, (frames, 3)),
        "gaze": rng.normal(0, 0.1, (frames, 2, 2)),
        "camera": Camera(
            np.array([600.0]),
            np.array([[330.0, 230.0]]),
            np.array([[640, 480]]),
            rng.normal([0, 0, -0.8], 0.02),
        ),
    }
    return Performance(name, **(values | further))


def small_avatar(folder: Path, seed: int = 0) -> Avatar:
    """One of a mean person with a tracked performance, and a Gaussian on every triangle with some offsets."""
    from dataclasses import replace

    model, performance = load_model("anny"), take("take", seed=seed)
    avatar = Avatar.create(folder, "Somebody", model="anny")
    avatar.add_performance(performance)
    splats = initial(model, avatar, 0, degree=1, basis=fit_basis(take("other", 60, 9).weights, 2))
    offsets = np.random.default_rng(1).normal(0, 0.02, splats.gaussians.offsets.shape)
    replace(splats, gaussians=replace(splats.gaussians, offsets=offsets)).save(avatar.splats_path)
    return avatar
