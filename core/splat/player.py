# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's Gaussians as they look in one moment before one camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..avatar import Avatar
from ..errors import SplatError
from ..head import load_model
from ..head.expressed import ExpressedHead
from ..performance import Performance
from ..person import rest_of
from .acting import Acting
from .gaussians import Activated
from .raster_result import Rendered
from .splat_avatar import SplatAvatar
from .view import View

Array = np.ndarray


class Head(Protocol):
    """What carries Gaussians."""

    def points(self, weights: Array, gaze: Array) -> Array:
        """(n, 3) float32 metres, head frame."""
        ...


class Player:
    """Gaussians, and the head that carries them."""

    def __init__(self, splats: SplatAvatar, head: Head) -> None:
        """`head`: the rows of the Gaussians' surface."""
        self.splats, self.head = splats, head

    @staticmethod
    def of(
        avatar: Avatar, folders: Sequence[Path] = (), flame: str = "", mapping: Path | None = None
    ) -> Player:
        """Of an avatar that was trained. SplatError for one without Gaussians or with those of another head.

        `folders`: where the user's head models are. flame, mapping: the user's, for an avatar of FLAME.
        """
        splats = splats_of(avatar)
        if avatar.model.startswith("flame"):
            from .flame_avatar import FlamePlayer

            return FlamePlayer.of_flame(avatar, splats, folders, flame, mapping)
        model = load_model(avatar.model, folders)
        splats.require_model(model)
        return Player(splats, ExpressedHead(model, rest_of(model, avatar), splats.surface.rows))

    def exactly(self, acting: Acting, performance: Performance) -> Acting:
        """The acting of a performance with what its source says of this very head; here nothing more."""
        del performance
        return acting

    def vertices(self, weights: Array, gaze: Array) -> Array:
        """(n, 3) float32 metres, head frame, rows of the surface."""
        return self.head.points(weights, gaze)

    def posed(self, weights: Array, gaze: Array, eye: Array, threads: int | None = None) -> Activated:
        """The Gaussians in the head frame, coloured as they are seen from `eye` (3,) metres."""
        from .posing import pose

        gaussians = self.splats.gaussians
        latent = gaussians.basis.latent(np.asarray(weights, np.float32)[None])[0]
        vertices = self.vertices(weights, gaze)
        return pose(gaussians, self.splats.surface, vertices, latent, eye, threads=threads).activated

    def draw(
        self,
        weights: Array,
        gaze: Array,
        view: View,
        background: Any = (0.0, 0.0, 0.0),
        threads: int | None = None,
    ) -> Rendered:
        """A picture."""
        from .device import render

        posed = self.posed(weights, gaze, view.centre, threads)
        return render(posed, view, background, threads=threads)

    def track(self, acting: Acting) -> Array:
        """(T, n, 3) float32 metres, head frame: the surface in every sample."""
        moments = zip(acting.weights, acting.gaze, strict=True)
        return np.stack([self.vertices(weights, gaze) for weights, gaze in moments])


def splats_of(avatar: Avatar) -> SplatAvatar:
    """The Gaussians of an avatar; SplatError where it has none or they are damaged."""
    if not avatar.splats_path.is_file():
        raise SplatError(
            f"The avatar {avatar.name!r} has no Gaussians yet.", f"Run: splat train {avatar.folder.name}"
        )
    return SplatAvatar.load(avatar.splats_path)
