# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that the files of compressed skinning share. Each ends in one sentence that names the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..files import read_npz
from ..unpickle import read_npy

LARGEST_FILE = 2 * 2**30
"""Bytes of an unpacked file; 500 shapes of 100,000 vertices are 0.6 GB."""
LARGEST_LENGTH = 1e9
"""In any unit; squares of it and their sums are within single precision."""


def read_members(path: Path, noun: str) -> dict[str, Any]:
    """The members of an .npz; pickled dicts are read by the restricted unpickler. ModelError otherwise."""
    path = Path(path)
    return read_npz(path, ModelError, LARGEST_FILE, lambda data: read_npy(data, path.name, noun))


def require(members: Mapping[str, Any], keys: Sequence[str], name: str, noun: str) -> None:
    """ModelError that names all of `keys` that are missing."""
    missing = [key for key in keys if key not in members]
    if missing:
        raise ModelError(f"{name} is no {noun}: it has no {' and no '.join(missing)}.")


def numbers(value: Any, shape: tuple[int | None, ...], what: str) -> np.ndarray:
    """An array of numbers of this shape, where None stands for any length; ModelError otherwise."""
    array = as_array(value)
    if array.dtype.kind not in "fiu":
        raise ModelError(f"{what} is no array of numbers.")
    fits = len(shape) == array.ndim and all(
        want in (None, n) for want, n in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ModelError(f"{what} has the form {array.shape}; {wanted} is expected.")
    return array


def as_array(value: Any) -> np.ndarray:
    """`value` as an array; what is none, such as lists of different lengths, has the type of an object."""
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        return np.array(None)


def finite(array: np.ndarray, what: str, axes: Sequence[str]) -> None:
    """ModelError that says where the first value lies that is no number, in the words of `axes`."""
    if not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0]
        where = ", ".join(f"{axis} {int(n)}" for axis, n in zip(axes, place, strict=False))
        raise ModelError(f"{what} has a value that is no finite number, at {where}.")


def short_enough(array: np.ndarray, what: str) -> None:
    """ModelError for lengths that no unit makes sense of and single precision cannot square."""
    largest = float(np.abs(array).max(initial=0.0))
    if largest > LARGEST_LENGTH:
        raise ModelError(f"{what} has lengths up to {largest:.3g}, which no mesh has.")


def single(array: np.ndarray) -> np.ndarray:
    """Rows of float32; what does not fit becomes infinite and is refused as such."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)


LARGEST_FACES = 2**27
"""Corners of all polygons, padded; 512 MB. One polygon with thousands of corners makes all as wide."""


def faces_array(value: Any, vertices: int, what: str) -> np.ndarray:
    """(F, k) int32 polygons of a mesh, the shorter ones padded with -1; lists of any lengths are taken too.

    ModelError for corners that are no vertices and polygons with fewer than three of them.
    """
    if isinstance(value, list | tuple) and all(isinstance(face, list | tuple | np.ndarray) for face in value):
        return padded_faces(value, vertices, what)
    array = np.asarray(value) if isinstance(value, np.ndarray) else None
    if array is not None and array.size == 0:
        return np.zeros((0, 3), np.int32)
    if array is not None and array.dtype.kind not in "iu":
        raise ModelError(f"{what} holds {array.dtype} and no whole numbers of vertices.")
    if array is None or array.ndim != 2 or array.shape[1] < 3:
        raise ModelError(f"{what} is no table of polygons with at least three corners each.")
    corner = array >= 0
    if array.max() >= vertices or array.min() < -1:
        worst = int(array.max() if array.max() >= vertices else array.min())
        raise ModelError(f"{what} points at vertex {worst}, and there are {vertices}.")
    broken = ~corner[:, :3].all(axis=1) | (corner[:, 1:] > corner[:, :-1]).any(axis=1)
    if broken.any():
        number = int(np.flatnonzero(broken)[0])
        raise ModelError(f"{what} has a polygon with fewer than three corners, number {number}.")
    return np.ascontiguousarray(array, np.int32)


def padded_faces(polygons: Sequence[Sequence[int]], vertices: int, what: str) -> np.ndarray:
    """`faces_array` of lists of corners."""
    lengths = np.array([len(polygon) for polygon in polygons], np.int64)
    longest = max(int(lengths.max(initial=0)), 3)
    if longest * len(polygons) > LARGEST_FACES:
        raise ModelError(f"{what} has {len(polygons)} polygons, and one of them has {longest} corners.")
    corners = as_array([corner for polygon in polygons for corner in polygon])
    if corners.size and (corners.ndim != 1 or corners.dtype.kind not in "iu"):
        raise ModelError(f"{what} has a polygon that is no list of vertices.")
    array = np.full((len(polygons), longest), -1, np.int64)
    array[np.arange(longest) < lengths[:, None]] = corners
    return faces_array(array, vertices, what)


def names_tuple(value: Any, count: int, what: str) -> tuple[str, ...]:
    """`count` names, or none."""
    array = as_array(value)
    if array.size == 0:
        return ()
    if array.ndim != 1 or array.dtype.kind not in "US" or len(array) != count:
        raise ModelError(f"{what} is no list of {count} names.")
    return tuple(n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in array.tolist())


def text_of(members: Mapping[str, Any], key: str) -> str | None:
    """A member that is one text, None for anything else."""
    value = members.get(key)
    is_text = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind == "U"
    return str(value) if is_text else None
