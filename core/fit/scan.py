# SPDX-License-Identifier: GPL-3.0-or-later
"""A captured face mesh as points of a surface: checked, in metres, with normals, no more than a fit needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..capture import FaceMesh
from ..errors import CaptureError
from .surface import Surface

Array = np.ndarray

MOST_POINTS = 1400
"""About the vertices of ARKit's mesh; more add no shape that a head model could follow."""
LEAST_POINTS = 150
MOST_VERTICES = 200_000
FACE_SIZE = (0.10, 0.40)
"""Metres: the longest side of a face mesh."""
UNITS = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001}
FACING = 0.25
"""Share of the area that must face +Z. A face without ears has about 0.7, a closed shape 0."""
WELD = 1e-4
"""Vertices nearer than this share of the mesh's size are one."""
_CURE = "Export the capture again, or use its photo or movie instead."


@dataclass(frozen=True)
class Scan:
    """Points of a face's surface.

    Those on open edges are among them: the rims of lids and lips lie on the face as well and say where eyes
    and mouth are. What must not be paired are places on the open edges of the head model.
    """

    points: Array
    """(n, 3) float64 metres, the mesh's own frame."""
    normals: Array
    """(n, 3) float64, out of the face."""
    middle: Array
    """(3,) metres: centre of the mesh's area."""
    facing: Array
    """(3,) unit vector: where the area looks on the whole."""
    size: tuple[float, float, float]
    """Width, height and depth of the whole mesh, metres."""
    scale: float
    """Metres per unit of the file."""
    warnings: tuple[str, ...]


def scan_of(mesh: FaceMesh) -> Scan:
    """The points of `mesh`. CaptureError says why it cannot be a face: too few or too many points, numbers
    that are none, no face's size, inside out, mirrored, or turned away from +Z.
    """
    vertices, triangles = _welded(*_checked(mesh))
    if len(vertices) < LEAST_POINTS:
        raise CaptureError(
            f"The face mesh has only {len(vertices)} points; a face needs {LEAST_POINTS}.", _CURE
        )
    size = np.ptp(vertices, axis=0)
    unit = _unit(float(size.max()))
    scale = UNITS[unit]
    vertices = vertices * scale
    surface = Surface.of(triangles, len(vertices))
    areas = surface.areas(vertices)
    facing = areas.sum(axis=0)
    if not facing[2] > FACING * float(np.sum(np.linalg.norm(areas, axis=1))):
        raise CaptureError(
            "The face mesh does not look along +Z: it is mirrored, inside out, turned or closed.",
            _CURE,
        )
    rows = np.sort(np.random.default_rng(0).permutation(len(vertices))[:MOST_POINTS])
    warnings = () if unit == "metres" else (f"The face mesh is in {unit}; it was taken as such.",)
    width, height, depth = (float(value) * scale for value in size)
    return Scan(
        vertices[rows],
        surface.normals(vertices)[rows],
        surface.middle(vertices),
        facing / np.linalg.norm(facing),
        (width, height, depth),
        scale,
        warnings,
    )


def _checked(mesh: FaceMesh) -> tuple[Array, Array]:
    """Vertices as float64 and triangles (T, 3) of a mesh that somebody else made."""
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    if len(vertices) > MOST_VERTICES:
        raise CaptureError(
            f"The face mesh has {len(vertices)} points; a phone's has at most {MOST_VERTICES}.", _CURE
        )
    if not len(vertices) or not np.all(np.abs(vertices) < 1e6):
        raise CaptureError("The face mesh has points that are no places.", _CURE)
    triangles = np.concatenate([faces[:, :3], faces[faces[:, 3] >= 0][:, [0, 2, 3]]])
    if not len(triangles) or triangles.min() < 0 or triangles.max() >= len(vertices):
        raise CaptureError("The face mesh has no faces, or faces without their points.", _CURE)
    return vertices, triangles


def _welded(vertices: Array, triangles: Array) -> tuple[Array, Array]:
    """The same mesh with one vertex per place, and only those in use: files that repeat vertices along the
    seams of their uv would be full of open edges.
    """
    grain = max(float(np.ptp(vertices, axis=0).max()), 1e-30) * WELD
    cells = np.round((vertices - vertices.min(axis=0)) / grain).astype(np.int64) @ np.array(
        [1, 1 << 20, 1 << 40]
    )
    _, first, back = np.unique(cells, return_index=True, return_inverse=True)
    triangles = back[triangles]
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (c != a)]
    used, corners = np.unique(triangles, return_inverse=True)
    return vertices[first[used]], corners.reshape(-1, 3)


def _unit(size: float) -> str:
    low, high = FACE_SIZE
    for unit, scale in UNITS.items():
        if low <= size * scale <= high:
            return unit
    raise CaptureError(f"The face mesh is {size:.3g} m large; a face is between {low} m and {high} m.", _CURE)
