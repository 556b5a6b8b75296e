# SPDX-License-Identifier: GPL-3.0-or-later
"""The performance that drives an avatar: one of its own, a file's, another avatar's, or CAP4D's `fit.npz`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..avatar import SUFFIX, Avatar
from ..camera import Camera
from ..errors import AvatarError, SettingsError
from ..performance import Performance
from ..progress import Progress, silent
from .acting import Acting, Standing


@dataclass(frozen=True)
class Driving:
    """What plays, and where its sound is."""

    performance: Performance
    sound: Path | None = None
    """The footage it was tracked in, where an avatar says so; times are from its start."""
    own: bool = False
    """Whether it is the avatar's own."""

    @staticmethod
    def nobody() -> Driving:
        """A face at rest for one moment."""
        return Driving(Performance("rest", np.zeros(1), np.zeros((1, 52), np.float32)))

    @property
    def usual(self) -> Standing:
        """Where the head usually is in it."""
        return Standing.of(self.performance)

    def acting_of(self, part: Performance) -> Acting:
        """What is done in a part of it, against where the head usually is in all of it."""
        return Acting.of(part, self.usual)


def driving(
    avatar: Avatar,
    performance: str = "",
    fit: Path | None = None,
    *,
    mapping: Path | None = None,
    flame: str = "",
    folders: Sequence[Path] = (),
    progress: Progress = silent,
) -> Driving:
    """What `performance` names, else the avatar's first that was tracked, else its first.

    performance: a name in the avatar, another avatar's folder, a performance's .npz, or a table of weights
    (CSV). fit: CAP4D's file instead; its expressions are FLAME's and are turned into weights by `mapping`,
    or by one that is derived from the user's model (`flame`, looked for in `folders`).
    """
    if fit is not None:
        if performance:
            raise SettingsError("--performance and --fit both say what is played.", "Give one of them.")
        from ..fit.flame_weights import performance_of_fit

        return Driving(
            performance_of_fit(fit, mapping=mapping, flame=flame, folders=folders, progress=progress)
        )
    if not performance or performance in avatar.performances:
        return _of_avatar(avatar, performance, own=True)
    path = Path(performance)
    if path.suffix == SUFFIX and path.is_dir():
        return _of_avatar(Avatar.load(path), "", own=False)
    if path.is_file():
        from ..fit.mapping.scores import read_scores

        return Driving(read_scores(path))
    avatar.performance_path(performance)  # says which there are
    raise AvatarError(f"There is no performance {performance!r}.")


def standing_of(avatar: Avatar, driven: Driving) -> tuple[Standing, Camera] | None:
    """Where the avatar's head usually is in footage, and its camera: that of what is played where it is its
    own, else of its first tracked performance; None where nobody saw it.
    """
    if driven.own and driven.performance.camera is not None:
        return driven.usual, driven.performance.camera
    for name in avatar.performances:
        performance = avatar.load_performance(name)
        if performance.camera is not None:
            return Standing.of(performance), performance.camera
    return None


def _of_avatar(avatar: Avatar, name: str, own: bool) -> Driving:
    """A performance by name, by default the first that was tracked, with the movie it was tracked in."""
    found = avatar.load_performance(name or _tracked(avatar))
    movie = avatar.media_path("movie")
    heard = movie if found.camera is not None and len(found.camera.focal) == 1 else None
    return Driving(found, heard if heard is not None and heard.is_file() else None, own)


def _tracked(avatar: Avatar) -> str:
    return next((name for name in avatar.performances if avatar.track_path(name).is_file()), "")
