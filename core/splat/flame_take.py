# SPDX-License-Identifier: GPL-3.0-or-later
"""What an avatar of FLAME plays as GaussianAvatars' take, whose FLAME has a jaw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..fit.flame_param import WITH_TEETH, FlameTake
from ..head import model_path
from ..head.flame.compile import load_flame
from ..head.flame.forward import local_vertices, matrices
from ..head.flame.refitting import refit
from ..performance import Performance
from .flame_avatar import FlamePlayer

Array = np.ndarray

WITH_JAW = ("flame_2023", "flame_2020")
"""Releases that GaussianAvatars is used with, its own first."""


def flame_take(
    player: FlamePlayer, performance: Performance | None, folders: Sequence[Path] = ()
) -> tuple[FlameTake | None, list[str]]:
    """A performance of FLAME's parameters as a take, and what a person should know of it. That of a release
    without a jaw is carried over to one with a jaw that the folders hold; what is left is the person's
    offset.
    """
    rig = player.rig
    given = None if performance is None else rig.parameters_of(performance)
    if given is None:
        return None, ["  without flame_param.npz: what is played has no parameters of this FLAME"]
    if rig.flame.has_jaw:
        offset = None if rig.offset is None else rig.offset.astype(np.float32)
        return FlameTake(given, offset), []
    target = next((path for name in WITH_JAW if (path := _found(name, folders))), None)
    if target is None:
        told = "its FLAME has a jaw, and none is in your model folders (--models)"
        return None, [f"  without flame_param.npz: {told}"]
    flame = load_flame(target)
    found = refit(rig.flame, given, flame).parameters
    away = local_vertices(rig.flame.cap4d, given) - local_vertices(flame.whole, found)
    offset = away.mean(axis=0)
    left = 1000 * float(np.sqrt(np.mean(np.sum((away - offset) ** 2, axis=2))))
    told = f"  carried over to FLAME {flame.variant}: {left:.2f} mm rms off in all"
    return FlameTake(found, offset.astype(np.float32)), [told]


def with_teeth(take: FlameTake) -> FlameTake:
    """The take as GaussianAvatars' viewers take it: offsets for the vertices of its teeth too."""
    offset = np.zeros((WITH_TEETH, 3), np.float32)
    if take.static_offset is not None:
        offset[: len(take.static_offset)] = take.static_offset
    return replace(take, static_offset=offset)


def whole_sh(sh: Array) -> Array:
    """(n, 16, 3): harmonics up to degree 3, which those viewers insist on."""
    full = np.zeros((len(sh), 16, 3), np.float32)
    full[:, : sh.shape[1]] = sh
    return full


def used_sh(sh: Array) -> Array:
    """The inverse of `whole_sh`: without the highest degrees where they are all 0."""
    degree = next((d for d in (3, 2, 1) if np.any(sh[:, d * d : (d + 1) ** 2])), 0)
    return sh[:, : (degree + 1) ** 2]


def mean_turn(take: FlameTake) -> Array:
    """(3, 3): how the head is turned in a take on average. Harmonics are in the world of the take."""
    u, _, vt = np.linalg.svd(matrices(take.parameters.rotation).mean(axis=0))
    return u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt


def _found(name: str, folders: Sequence[Path]) -> Path | None:
    try:
        return model_path(name, folders)
    except ModelError:
        return None
