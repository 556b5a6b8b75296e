# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the face meshes of a capture: small OBJ files written by a phone, treated as hostile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import CaptureError
from .limits import MAX_OBJ_BYTES, MAX_OBJ_CORNERS, MAX_OBJ_VERTICES
from .member import Member
from .sniff import decoded

ARKIT_VERTICES = 1220
ARKIT_TRIANGLES = 2304
_FAR = 100.0
"""Metres; a face lies well within."""


@dataclass(frozen=True)
class FaceMesh:
    """A mesh as the file has it. ARKit writes metres with +X the subject's left, +Y up and +Z out of the
    face.
    """

    vertices: np.ndarray
    """(V, 3) float32, metres."""
    faces: np.ndarray
    """(F, 4) int32 vertex indices; a triangle has -1 last."""
    uv: np.ndarray | None
    """(F, 4, 2) float32 per face corner, or None."""

    @property
    def is_arkit(self) -> bool:
        """Whether it has the counts of Apple's face mesh (1220 vertices, 2304 triangles)."""
        return len(self.vertices) == ARKIT_VERTICES and len(self.faces) == ARKIT_TRIANGLES

    @property
    def size(self) -> tuple[float, float, float]:
        """Width, height and depth in metres."""
        x, y, z = (float(value) for value in np.ptp(self.vertices, axis=0))
        return x, y, z


def read_face_mesh(member: Member) -> FaceMesh:
    """Read an OBJ of triangles and quads with optional texture coordinates.

    Other statements (normals, groups, materials) are passed over, and no file that it names is opened.
    CaptureError names the line of what cannot be used.
    """
    text = decoded(member.read_bytes(MAX_OBJ_BYTES))
    if text is None:
        raise CaptureError(f"{member.name} is not an OBJ mesh but binary data.", "Export the capture again.")
    parser = _Parser(member)
    for number, line in enumerate(text.splitlines(), start=1):
        parser.statement(number, line)
    return parser.mesh()


class _Parser:
    """Gathers the statements of one file."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.vertices: list[list[str]] = []
        self.vertex_lines: list[int] = []
        self.uv: list[list[str]] = []
        self.uv_lines: list[int] = []
        self.corners: list[tuple[int, int]] = []
        self.face_lengths: list[int] = []
        self.face_lines: list[int] = []

    def statement(self, number: int, line: str) -> None:
        """Take one line."""
        words = line.split("#", 1)[0].split()
        if not words:
            return
        if words[0] == "v":
            self._point(self.vertices, self.vertex_lines, words[1:4], 3, number)
        elif words[0] == "vt":
            self._point(self.uv, self.uv_lines, words[1:3], 2, number)
        elif words[0] == "f":
            self._face(words[1:], number)

    def _point(
        self, points: list[list[str]], lines: list[int], words: list[str], width: int, number: int
    ) -> None:
        if len(words) != width:
            raise self._wrong(number, f"a point has {len(words)} numbers where {width} are needed")
        points.append(words)
        lines.append(number)
        if len(points) > MAX_OBJ_VERTICES:
            raise CaptureError(
                f"{self.member.name} has more than {MAX_OBJ_VERTICES} points; it is no face mesh."
            )

    def _face(self, words: list[str], number: int) -> None:
        if not 3 <= len(words) <= 4:
            raise self._wrong(number, f"a face has {len(words)} corners where 3 or 4 are expected")
        for word in words:
            parts = word.split("/")
            vertex = self._index(parts[0], len(self.vertices), number)
            uv = self._index(parts[1], len(self.uv), number) if len(parts) > 1 and parts[1] else -1
            self.corners.append((vertex, uv))
        self.face_lengths.append(len(words))
        self.face_lines.append(number)
        if len(self.corners) > MAX_OBJ_CORNERS:
            raise CaptureError(
                f"{self.member.name} has more than {MAX_OBJ_CORNERS} face corners; it is no face mesh."
            )

    def _index(self, word: str, count: int, number: int) -> int:
        """A zero-based index; OBJ counts from one, and negative numbers count back from the latest point."""
        try:
            value = int(word) if len(word) <= 12 else 0
        except ValueError:
            value = 0
        index = value - 1 if value > 0 else count + value
        if value == 0 or index < 0 or index >= MAX_OBJ_VERTICES:
            raise self._wrong(number, f"{word[:16]!r} is not the number of a point")
        return index

    def mesh(self) -> FaceMesh:
        """The arrays, checked."""
        vertices = self._numbers(self.vertices, self.vertex_lines, _FAR)
        if len(vertices) < 3 or not self.face_lengths:
            raise CaptureError(
                f"{self.member.name} holds no faces; it is no mesh.", "Export the capture again."
            )
        corners = np.array(self.corners, dtype=np.int64)
        lengths = np.array(self.face_lengths)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        columns = np.arange(len(corners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self._check_range(corners[:, 0], len(vertices), rows)
        faces = np.full((len(lengths), 4), -1, dtype=np.int32)
        faces[rows, columns] = corners[:, 0]
        return FaceMesh(vertices, faces, self._corner_uv(corners[:, 1], rows, columns, len(lengths)))

    def _corner_uv(
        self, indices: np.ndarray, rows: np.ndarray, columns: np.ndarray, count: int
    ) -> np.ndarray | None:
        if not self.uv or (indices < 0).any():
            return None
        points = self._numbers(self.uv, self.uv_lines, 1e4)
        self._check_range(indices, len(points), rows)
        uv = np.zeros((count, 4, 2), dtype=np.float32)
        uv[rows, columns] = points[indices]
        return uv

    def _numbers(self, points: list[list[str]], lines: list[int], limit: float) -> np.ndarray:
        try:
            array = np.array(points, dtype=np.float64).astype(np.float32)
        except ValueError:
            array = np.array([[_float(word) for word in point] for point in points], dtype=np.float32)
        good = np.abs(array) <= limit
        if not good.all():
            row = int(np.argwhere(~good)[0][0])
            raise self._wrong(
                lines[row], f"{' '.join(points[row])[:40]!r} is not a place on a face in metres"
            )
        return array

    def _check_range(self, indices: np.ndarray, count: int, rows: np.ndarray) -> None:
        beyond = np.flatnonzero(indices >= count)
        if len(beyond):
            line = self.face_lines[int(rows[beyond[0]])]
            raise self._wrong(line, f"a face names point {int(indices[beyond[0]]) + 1} of {count}")

    def _wrong(self, line: int, what: str) -> CaptureError:
        return CaptureError(f"{self.member.name}, line {line}: {what}.", "Export the capture again.")


def _float(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")
