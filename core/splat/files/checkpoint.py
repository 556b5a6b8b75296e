# SPDX-License-Identifier: GPL-3.0-or-later
"""CAP4D's `chkpnt*.pth`: the Gaussians of an avatar as training left them (formats-cap4d 1.7).

A tuple (dict, iteration); the dict has shape, base_rot, the state of the deformation network and `gaussians`,
a tuple that begins with the degree in use, positions, colours, further coefficients, logarithms of scales,
quaternions, opacities and the triangle of each. All is local to triangles; only the colours have the axes of
the world, OpenCV's, and are turned into those of the head. The mesh is not in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import LikenessError, SplatError
from ..gaussians import Gaussians
from .axes import HALF_TURN, turned_sh
from .torch_file import read_torch

Array = np.ndarray

_NAME = re.compile(r"chkpnt(\d{1,9})\.pth")


@dataclass(frozen=True, eq=False)
class Cap4dCheckpoint:
    """What a checkpoint holds that does not belong to its training alone."""

    local: Gaussians
    """Local to the triangles of CAP4D's remeshed grid; colours in the frame of the head."""
    binding: Array
    """(n,) int32 triangle of each."""
    iteration: int
    shape: Array
    """(150,) float32 coefficients of FLAME's identity."""
    base_rotation: Array
    """(3,) float32 rotation vector."""
    network: Mapping[str, Array]
    """State of the deformation network by the names of its layers; read-only."""


def newest_checkpoint(folder: Path) -> Path:
    """The checkpoint of the last iteration in an avatar's folder; SplatError where there is none."""
    try:
        found = [(int(m[1]), path) for path in folder.iterdir() if (m := _NAME.fullmatch(path.name))]
    except OSError as problem:
        raise SplatError(f"{folder} cannot be read: {problem.strerror or problem}.") from problem
    if not found:
        raise SplatError(f"{folder.name} has no chkpnt*.pth.", "Choose the folder that CAP4D trained into.")
    return max(found)[1]


def read_cap4d_checkpoint(path: Path) -> Cap4dCheckpoint:
    """Read a checkpoint, or the last one of a folder; LikenessError in one sentence for another file."""
    if path.is_dir():
        path = newest_checkpoint(path)
    content = read_torch(path)
    try:
        held, iteration = content
        gaussians = held["gaussians"]
        local, binding = _gaussians(gaussians)
        return Cap4dCheckpoint(
            local,
            binding,
            int(iteration),
            _floats(held["shape"], (None,), "shape"),
            _floats(np.ravel(held["base_rot"]), (3,), "base_rot"),
            {str(key): np.asarray(value) for key, value in dict(held["deform_net"]).items()},
        )
    except LikenessError as problem:
        raise _refused(path, problem.message.rstrip(".")) from None
    except KeyError as problem:
        raise _refused(path, f"it has no {str(problem.args[0])[:40]!r}") from None
    except (ValueError, TypeError, IndexError, AttributeError) as problem:
        raise _refused(path, str(problem).splitlines()[0][:120] if str(problem) else "") from None


def _refused(path: Path, why: str) -> SplatError:
    return SplatError(
        f"{path.name} is no checkpoint of a CAP4D avatar: {why}.", "Choose a chkpnt*.pth that CAP4D trained."
    )


def _gaussians(parts: Any) -> tuple[Gaussians, Array]:
    """Gaussians and their triangles; ValueError where a part is of another shape."""
    if not isinstance(parts, tuple) or len(parts) < 8:
        raise ValueError("its Gaussians are of another form")
    degree = parts[0]
    means = _floats(parts[1], (None, 3), "positions")
    count = len(means)
    first = _floats(parts[2], (count, 1, 3), "colours")
    rest = _floats(parts[3], (count, None, 3), "coefficients")
    if type(degree) is not int or not 0 <= degree <= 3 or rest.shape[1] < (degree + 1) ** 2 - 1:
        raise ValueError("its coefficients have an unknown degree")
    sh = np.concatenate([first, rest[:, : (degree + 1) ** 2 - 1]], axis=1)
    binding = np.asarray(parts[7])
    if binding.shape != (count,) or binding.dtype.kind not in "iu":
        raise ValueError("its Gaussians are not bound to triangles")
    if count and (binding.min() < 0 or binding.max() >= 2**31):
        raise ValueError("a Gaussian is bound to a triangle that cannot be")
    local = Gaussians(
        means,
        _floats(parts[4], (count, 3), "scales"),
        _floats(parts[5], (count, 4), "rotations"),
        _floats(parts[6], (count, 1), "opacities")[:, 0],
        turned_sh(sh, HALF_TURN),
    )
    return local, binding.astype(np.int32)


def _floats(value: Any, shape: tuple[int | None, ...], what: str) -> Array:
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or array.dtype.kind not in "fiu":
        raise ValueError(f"its {what} have the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"its {what} have values that are not finite")
    return array.astype(np.float32)
