# SPDX-License-Identifier: GPL-3.0-or-later
"""Static Gaussians as PLY, in the layout of the first 3DGS program that all viewers read.

One element `vertex` of floats: x y z, nx ny nz (zero), f_dc_0..2, f_rest_* (all of red, then green, then
blue), opacity (before the logistic function), scale_0..2 (logarithms), rot_0..3 (w x y z). By default the
file has OpenCV's axes (y down, z forward), as viewers expect of a PLY; `axes="head"` keeps those of the head.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...errors import SplatError
from ...files import atomic_folder, atomic_path
from ..gaussians import Gaussians
from .axes import axes_matrix, turned
from .ply import block_table, column, read_ply, write_ply

Array = np.ndarray

POSITION, NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")
COLOUR = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE, ROTATION = ("scale_0", "scale_1", "scale_2"), ("rot_0", "rot_1", "rot_2", "rot_3")
_REST = {0: 0, 9: 1, 24: 2, 45: 3}
"""Degree by the number of f_rest properties."""
_BOUND = {"binding", "binding_0"}
"""Properties of Gaussians that are local to triangles."""
LARGEST_LOGIT = 30.0
"""What stands for the infinite opacity values that some programs write."""


def write_splat_ply(path: Path, gaussians: Gaussians, axes: str = "opencv") -> None:
    """Write Gaussians in the frame of the head as a static 3DGS PLY, atomically."""
    rows = vertex_rows(turned(gaussians, axes_matrix(axes)))
    write_ply(path, [("vertex", rows)])


def read_splat_ply(path: Path, axes: str = "opencv") -> Gaussians:
    """Gaussians of a static 3DGS PLY of any byte order or text, with its properties in any order, in the
    frame of the head; SplatError in one sentence for another file.
    """
    matrix = axes_matrix(axes).T
    rows = read_ply(path, until="vertex")["vertex"]
    if _BOUND & set(rows.dtype.names or ()):
        raise SplatError(
            f"{path.name} holds Gaussians that are bound to a mesh, not where they stand.",
            "Open it as an animation, or as a model of GaussianAvatars.",
        )
    return turned(gaussians_of(rows, path.name), matrix)


def write_ply_frames(folder: Path, frames: Iterable[Gaussians], axes: str = "opencv") -> int:
    """One static PLY per frame, `frame_00000.ply` and on, in a folder that appears when it is whole; their
    number.
    """
    count = 0
    try:
        with atomic_folder(folder) as beside:
            for count, gaussians in enumerate(frames, 1):
                write_splat_ply(beside / _frame_name(count - 1), gaussians, axes)
    except OSError as problem:
        raise SplatError(f"{folder} cannot be written: {problem.strerror or problem}.") from problem
    return count


def write_ply_zip(path: Path, frames: Iterable[Gaussians], axes: str = "opencv") -> int:
    """The same frames in one zip, as Brush plays them; their number."""
    count = 0
    scratch = path.with_name(f".{path.name}.frame.ply")
    try:
        with atomic_path(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
            for count, gaussians in enumerate(frames, 1):
                write_splat_ply(scratch, gaussians, axes)
                archive.write(scratch, _frame_name(count - 1))
    except OSError as problem:
        raise SplatError(f"{path} cannot be written: {problem.strerror or problem}.") from problem
    finally:
        scratch.unlink(missing_ok=True)
    return count


def _frame_name(number: int) -> str:
    return f"frame_{number:05d}.ply"


def vertex_rows(gaussians: Gaussians, normals: bool = True, **further: Array) -> Array:
    """The rows of the element `vertex`, all float32, with `further` columns at the end."""
    count, coefficients = len(gaussians), gaussians.sh.shape[1] - 1
    rest = gaussians.sh[:, 1:].transpose(0, 2, 1).reshape(count, 3 * coefficients)
    blocks: list[tuple[tuple[str, ...], Array]] = [(POSITION, gaussians.means)]
    blocks += [(NORMAL, np.zeros((count, 3), np.float32))] * normals
    blocks += [(COLOUR, gaussians.sh[:, 0])]
    blocks += [(tuple(f"f_rest_{n}" for n in range(rest.shape[1])), rest)]
    blocks += [(("opacity",), gaussians.opacity_logits[:, None])]
    blocks += [(SCALE, gaussians.log_scales), (ROTATION, gaussians.rotations)]
    blocks += [((name,), np.asarray(values)[:, None]) for name, values in further.items()]
    names = [name for held, _ in blocks for name in held]
    whole = np.empty((count, len(names)), np.float32)
    np.concatenate([values for _, values in blocks], axis=1, out=whole, casting="unsafe")
    return block_table(names, whole)


def gaussians_of(rows: Array, name: str) -> Gaussians:
    """The Gaussians of an element `vertex`, as they stand; SplatError names the file and what is wrong."""
    try:
        if not len(rows):
            raise ValueError("it has no Gaussians")
        held = rows.dtype.names or ()
        count = sum(key.startswith("f_rest_") for key in held)
        if count not in _REST:
            raise ValueError(f"it has {count} f_rest properties, expected 0, 9, 24 or 45")
        rest = column(rows, [f"f_rest_{n}" for n in range(count)], "Gaussian")
        rest = rest.reshape(len(rows), 3, count // 3).transpose(0, 2, 1)
        colour = column(rows, COLOUR, "Gaussian")[:, None]
        rotations = column(rows, ROTATION, "Gaussian")
        rotations[~rotations.any(axis=1), 0] = 1.0
        return Gaussians(
            column(rows, POSITION, "Gaussian"),
            column(rows, SCALE, "Gaussian"),
            rotations,
            _opacities(rows),
            np.concatenate([colour, rest], axis=1),
        )
    except ValueError as problem:
        raise SplatError(f"{name} holds no Gaussians that can be used: {problem}.") from None


def _opacities(rows: Array) -> Array:
    """(n,) before the logistic function; what is infinite there is opaque or clear."""
    if "opacity" not in (rows.dtype.names or ()):
        raise ValueError("it has no property 'opacity'")
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(rows["opacity"], np.float32)
    if np.isnan(values).any():
        raise ValueError(f"the opacity of Gaussian {int(np.isnan(values).argmax())} is not a number")
    infinite = np.isinf(values)
    values[infinite] = np.sign(values[infinite]) * LARGEST_LOGIT
    return values
