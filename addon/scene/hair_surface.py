# SPDX-License-Identifier: GPL-3.0-or-later
"""The skin that hair grows from: even root points, and a collider that keeps strands out of the body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mathutils.bvhtree import BVHTree

from .materials.anchors import FaceFrame, default_rest, face_frame

Array = np.ndarray


@dataclass(frozen=True)
class Roots:
    """Where strands start, on the person (head frame, metres) and on the model's default person."""

    points: Array
    """(n, 3) on the person's skin."""
    normals: Array
    """(n, 3) unit, outwards."""
    uv: Array
    """(n, 2) in the body's UV."""
    places: Array
    """(n, 3) face coordinates on the default person: what styles are drawn in."""

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, chosen: Any) -> Roots:
        return Roots(self.points[chosen], self.normals[chosen], self.uv[chosen], self.places[chosen])


class Skin:
    """The body surface of one person, at rest."""

    def __init__(self, model: Any, rest: Any) -> None:
        self.frame: FaceFrame = face_frame(model, rest)
        default = default_rest(model)
        self.places = face_frame(model, default).local(np.asarray(default.vertices, np.float64))
        self.vertices = np.asarray(rest.vertices, np.float64)
        body = model.part_faces(model.part_names[0])
        faces, uv = model.faces[body], model.uv[body]
        near = self.places[faces[:, 0], 1] > -6.0
        self.faces = faces[near]
        self.triangles, self.triangle_uv = _triangles(faces[near], uv[near])
        self.vertex_normals = _vertex_normals(self.vertices, self.triangles)

    def roots(self, density: Array, count: int, seed: int) -> Roots:
        """`count` random points, spread by area times `density` ((V,) per vertex). Deterministic for a
        seed.
        """
        rng = np.random.default_rng(seed)
        default = self.places[self.triangles]
        area = np.linalg.norm(np.cross(default[:, 1] - default[:, 0], default[:, 2] - default[:, 0]), axis=1)
        weight = np.cumsum(area * density[self.triangles].mean(axis=1))
        if weight[-1] <= 0.0:
            count = 0
        # Stratified along the surface order: evener than independent draws.
        at = (np.arange(count) + rng.random(count)) / max(count, 1) * weight[-1]
        chosen = np.minimum(np.searchsorted(weight, at), len(weight) - 1)
        u, v = np.sqrt(rng.random(count)), rng.random(count)
        share = np.stack([1 - u, u * (1 - v), u * v], axis=1)
        corners = self.triangles[chosen]

        def mixed(values: Array) -> Array:
            return np.einsum("nk,nkd->nd", share, values)

        normals = mixed(self.vertex_normals[corners])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        uv = mixed(self.triangle_uv[chosen].astype(np.float64))
        return Roots(mixed(self.vertices[corners]), normals, uv, mixed(self.places[corners]))

    def collider(self) -> Collider:
        """A search tree over the skin from the shoulders up: some 20 ms."""
        return Collider(self.vertices, self.triangles)


class Collider:
    """Nearest-surface queries on a closed-enough skin."""

    def __init__(self, vertices: Array, triangles: Array) -> None:
        self._tree = BVHTree.FromPolygons(vertices.tolist(), triangles.tolist())

    def keep_out(self, points: Array, margins: Array, reach: float = 0.12) -> Array:
        """Move points ((n, 3)) that are closer to the skin than `margins` ((n,)), or under it, out to that
        distance.
        """
        result = points.copy()
        for i, (point, margin) in enumerate(zip(points.tolist(), margins.tolist(), strict=True)):
            hit, normal, _, distance = self._tree.find_nearest(point, reach)
            if hit is None or normal is None:
                continue
            above = sum((a - b) * n for a, b, n in zip(point, hit, normal, strict=True))
            if above < 0.0 or distance < margin:
                result[i] = [h + margin * n for h, n in zip(hit, normal, strict=True)]
        return result

    def lie_on(self, points: Array, heights: Array) -> Array:
        """Points set at `heights` ((n,)) above the nearest skin."""
        result = points.copy()
        for i, (point, height) in enumerate(zip(points.tolist(), heights.tolist(), strict=True)):
            hit, normal, _, _ = self._tree.find_nearest(point)
            if hit is not None and normal is not None:
                result[i] = [h + height * n for h, n in zip(hit, normal, strict=True)]
        return result


def _triangles(faces: Array, uv: Array) -> tuple[Array, Array]:
    """Quads split in two: (t, 3) vertices and (t, 3, 2) uv."""
    first, second = [0, 1, 2], [0, 2, 3]
    quads = faces[:, 3] >= 0
    return (
        np.concatenate([faces[:, first], faces[quads][:, second]]),
        np.concatenate([uv[:, first], uv[quads][:, second]]),
    )


def triangulated(faces: Array) -> Array:
    """(t, 3) triangles of quads ((n, 4) rows, -1 last for a triangle)."""
    return _triangles(faces, np.zeros((*faces.shape, 2)))[0]


def _vertex_normals(vertices: Array, triangles: Array) -> Array:
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
