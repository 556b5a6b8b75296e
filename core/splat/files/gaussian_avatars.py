# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars' model folders: Gaussians bound to FLAME's triangles and the take that moves them.

`point_cloud/iteration_N/point_cloud.ply` is a 3DGS PLY with `binding_0`, the triangle of each, all float and
local to the triangles (`core.splat.files.triangles`); `flame_param.npz` lies beside it. FLAME's axes are
those of the head, so nothing is turned. Triangles: FLAME's 9976, and 168 of the teeth that GaussianAvatars
adds (formats-cap4d 1.7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import SplatError
from ...fit.flame_param import FlameTake, read_flame_param, write_flame_param
from ..gaussians import Gaussians
from .ply import column, read_ply, write_ply
from .splat_ply import gaussians_of, vertex_rows

Array = np.ndarray

TRIANGLES = 9976 + 168
"""Of FLAME with teeth."""
CLOUD, TAKE = "point_cloud.ply", "flame_param.npz"
_FOLDER = re.compile(r"iteration_(\d{1,9})")


@dataclass(frozen=True, eq=False)
class FlameGaussians:
    """Gaussians on FLAME's triangles."""

    local: Gaussians
    """Local to the triangles; colours in the world of the take."""
    binding: Array
    """(n,) int32 triangle of each, below `TRIANGLES`."""
    take: FlameTake | None = None
    """What moves them, where the folder says."""
    iteration: int = 0
    """Of training."""


def write_gaussian_avatar(folder: Path, avatar: FlameGaussians) -> Path:
    """Write a model folder as its viewers open it; the PLY's path. Files of the same names are replaced."""
    binding = _checked(np.asarray(avatar.binding), len(avatar.local), "The set of Gaussians")
    target = folder / "point_cloud" / f"iteration_{avatar.iteration}"
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SplatError(f"{folder} cannot be written: {problem.strerror or problem}.") from problem
    if avatar.take is not None:
        write_flame_param(target / TAKE, avatar.take)
    write_ply(target / CLOUD, [("vertex", vertex_rows(avatar.local, binding_0=binding))])
    return target / CLOUD


def read_gaussian_avatar(path: Path, variant: str = "2023") -> FlameGaussians:
    """Read a model folder (its last iteration), an iteration's folder or the PLY itself.

    `variant`: the release of FLAME that the take is for, which the files do not say. LikenessError in one
    sentence for whatever is no such model.
    """
    cloud = _cloud(path)
    rows = read_ply(cloud, until="vertex")["vertex"]
    local = gaussians_of(rows, cloud.name)
    try:
        values = column(rows, ("binding_0",), "Gaussian")[:, 0]
        if (values % 1 != 0).any() or (np.abs(values) >= 2**24).any():
            raise ValueError("a Gaussian has no whole triangle")
        binding = _checked(values.astype(np.int32), len(rows), cloud.name)
    except ValueError as problem:
        raise SplatError(
            f"{cloud.name} is no model of GaussianAvatars: {problem}.", "Open it as a static PLY instead."
        ) from None
    take = next((p for p in (cloud.parent / TAKE, path / TAKE) if p.is_file()), None)
    number = _FOLDER.fullmatch(cloud.parent.name)
    return FlameGaussians(
        local,
        binding,
        None if take is None else read_flame_param(take, variant),
        int(number[1]) if number else 0,
    )


def _cloud(path: Path) -> Path:
    """The PLY that a path means; SplatError where there is none."""
    if path.suffix.lower() == ".ply":
        return path
    if (path / CLOUD).is_file():
        return path / CLOUD
    try:
        inner = list((path / "point_cloud").iterdir())
    except OSError:
        inner = []
    found = [
        (int(m[1]), p / CLOUD) for p in inner if (m := _FOLDER.fullmatch(p.name)) and (p / CLOUD).is_file()
    ]
    if not found:
        raise SplatError(
            f"{path.name} has no {CLOUD}.", "Choose the folder that holds point_cloud/iteration_*."
        )
    return max(found)[1]


def _checked(binding: Array, count: int, name: str) -> Array:
    if binding.shape != (count,):
        raise SplatError(f"{name} has {len(binding)} bindings for {count} Gaussians.")
    if count and (binding.min() < 0 or binding.max() >= TRIANGLES):
        raise SplatError(f"{name} has a Gaussian on a triangle that FLAME does not have.")
    return binding
