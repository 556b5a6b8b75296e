# SPDX-License-Identifier: GPL-3.0-or-later
"""OBJ files as far as shapes need them: vertices and polygons, read and written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import ModelError
from .checks import finite, padded_faces

LARGEST_FILE = 512 * 2**20
LONGEST_LINE = 2**20
MOST = 2**23
"""Vertices, and polygons."""
_TOO_MANY = 2**31


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) float64 vertices and (F, k) int32 polygons, padded with -1, of all objects of a file together.

    Texture coordinates, normals, groups, materials and all else is passed over. ModelError in one sentence,
    with the line, for a missing, damaged or huge file.
    """
    points: list[bytes] = []
    faces: list[list[int]] = []
    for number, words in _statements(path):
        if words[0] == b"v":
            points += words[1:4]
            if len(words) < 4:
                raise _wrong(path, number, "has a vertex without three coordinates")
        else:
            faces.append([_index(word, len(points) // 3, path, number) for word in words[1:]])
            if len(words) < 4:
                raise _wrong(path, number, "has a polygon with fewer than three corners")
        if max(len(points) // 3, len(faces)) > MOST:
            raise ModelError(f"{path.name} has more than {MOST} vertices or polygons and is not read.")
    if not points:
        raise ModelError(f"{path.name} has no vertices.", "Choose an OBJ file of a mesh.")
    vertices = _coordinates(points, path)
    return vertices, padded_faces(faces, len(vertices), f"The mesh of {path.name}")


def _statements(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """The words of every vertex and polygon, with the number of the line."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelError(f"{path.name} is larger than {LARGEST_FILE >> 20} MB and is not read.")
        with path.open("rb") as stream:
            for number, line in _lines(stream, path):
                if line[:2] in (b"v ", b"f ", b"v\t", b"f\t", b"v", b"f"):
                    yield number, line.split(b"#", 1)[0].split()
    except FileNotFoundError:
        raise ModelError(f"{path.name} is missing in {path.parent}.") from None
    except OSError as problem:
        raise ModelError(f"{path} cannot be read: {problem.strerror or problem}.") from problem


def _lines(stream: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers; one that ends in a backslash goes on in the next."""
    begun = b""
    for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), 1):
        whole = begun + line.strip()
        if len(line) == LONGEST_LINE or len(whole) > LONGEST_LINE:
            raise _wrong(path, number, "is no OBJ file: a line is far too long")
        begun = whole[:-1] + b" " if whole.endswith(b"\\") else b""
        if not begun:
            yield number, whole


def _index(word: bytes, known: int, path: Path, number: int) -> int:
    """A corner `v/vt/vn` as the index of its vertex: from 1, or from the last backwards when negative."""
    try:
        index = int(word.partition(b"/")[0])
    except ValueError:
        index = _TOO_MANY
    if index >= _TOO_MANY:
        raise _wrong(path, number, "has a corner that is no vertex number")
    if index == 0 or index < -known:
        raise _wrong(path, number, "points at a vertex before the first")
    return index - 1 if index > 0 else known + index


def _coordinates(points: list[bytes], path: Path) -> np.ndarray:
    """(N, 3) of the words."""
    try:
        vertices = np.array(list(map(float, points))).reshape(-1, 3)
    except ValueError:
        raise ModelError(f"{path.name} has a vertex whose coordinates are no numbers.") from None
    finite(vertices, f"The mesh of {path.name}", ("vertex",))
    return vertices


def _wrong(path: Path, number: int, what: str) -> ModelError:
    return ModelError(f"{path.name} {what}, in line {number}.")


def obj_faces(faces: np.ndarray) -> str:
    """The lines of the polygons, which are the same in every frame."""
    lines = (" ".join(str(corner + 1) for corner in face if corner >= 0) for face in faces.tolist())
    return "".join(f"f {line}\n" for line in lines)


def obj_vertices(vertices: np.ndarray) -> str:
    """The lines of (N, 3) vertices, with the digits that give single precision back."""
    return ("v %.9g %.9g %.9g\n" * len(vertices)) % tuple(vertices.ravel().tolist())
