# SPDX-License-Identifier: GPL-3.0-or-later
"""The skin of a head model's face as a surface of its own, with what identity and expression do to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..arkit import ARKIT_NAMES
from ..head import HeadModel
from ..head.embedding import LandmarkEmbedding
from .slices import FACE, IdentityRows
from .surface import Surface, nearest_rows

Array = np.ndarray

MARGIN = 0.03
"""Metres: how far beyond the landmarks the skin is taken; face meshes reach up the forehead."""
OUTWARD = 0.2
"""Least cosine of a triangle's normal and the direction from the middle of the head: leaves out the inside of
mouth and lids, and the back of the ears."""
DEPTH = 0.09
"""Metres from the middle of the landmarks back to the middle of the head."""
THINNED = 4
"""Every so many vertices are enough to tell which parameters can be seen."""


@dataclass(frozen=True)
class FacePatch:
    """n vertices of the face."""

    model: HeadModel
    rows: Array
    """(n,) rows of the model."""
    surface: Surface
    template: Array
    """(n, 3) float64 metres."""
    moving: Array = field(repr=False)
    """(k,) identity shapes that move the face at all."""
    shapes: Array = field(repr=False)
    """(3 n, k) float32 metres: those shapes."""
    identity_names: tuple[str, ...]
    """(P,) identity parameters that can be seen on a face."""
    expression: Array = field(repr=False)
    """(n, 3, E) float32 metres."""
    expression_names: tuple[str, ...]
    """(E,) ARKit's in their order where the model has them."""

    @staticmethod
    def of(model: HeadModel, embedding: LandmarkEmbedding) -> FacePatch:
        """The part of the skin that a face mesh may show (about 0.3 s)."""
        triangles = _face_triangles(model, embedding)
        rows, corners = np.unique(triangles, return_inverse=True)
        identity = IdentityRows.of_rows(model, rows[:, None], np.ones((len(rows), 1)))
        moving = np.flatnonzero(np.any(identity.shapes != 0.0, axis=(1, 2)))
        shapes = identity.shapes[moving].astype(np.float32).reshape(len(moving), -1)
        some = IdentityRows(model, identity.template[::THINNED], identity.shapes[:, ::THINNED])
        names, expression = expression_at(model, rows)
        return FacePatch(
            model,
            rows,
            Surface.of(corners.reshape(-1, 3), len(rows)),
            identity.template,
            moving,
            np.ascontiguousarray(shapes.T),
            some.visible_names(),
            expression,
            names,
        )

    def vertices(self, values: Mapping[str, float], weights: Array) -> Array:
        """(n, 3) float64 metres: the face of a person with an expression ((E,)), head frame."""
        coefficients = self.model.identity_coefficients(values)[self.moving]
        moved = (self.shapes @ coefficients).reshape(-1, 3) + self.expression @ weights.astype(np.float32)
        return self.template + moved

    def slopes(self, values: Mapping[str, float]) -> Array:
        """(n, 3, P + E) float32: how the vertices move with each identity parameter and expression."""
        change = self.model.parameters.jacobian(values, self.identity_names)[self.moving]
        identity = (self.shapes @ change.astype(np.float32)).reshape(len(self.rows), 3, -1)
        return np.concatenate([identity, self.expression], axis=2)


def expression_at(model: HeadModel, rows: Array) -> tuple[tuple[str, ...], Array]:
    """Names (E,) and shapes (n, 3, E) float32 metres of the expressions at some rows ((n,)); ARKit's names in
    their order where the model has any of them, still where it lacks one.
    """
    shapes = model.expression.at(rows).transpose(1, 2, 0)
    names = model.expression_names
    if not set(ARKIT_NAMES) & set(names):
        return names, np.ascontiguousarray(shapes)
    ordered = np.zeros((len(rows), 3, len(ARKIT_NAMES)), np.float32)
    for place, name in enumerate(ARKIT_NAMES):
        if name in model.expression_index:
            ordered[..., place] = shapes[..., model.expression_index[name]]
    return ARKIT_NAMES, ordered


def _face_triangles(model: HeadModel, embedding: LandmarkEmbedding) -> Array:
    """(T, 3) rows: triangles of the skin near the landmarks that look outwards."""
    used = np.zeros(model.row_count, bool)
    used[embedding.rows[:FACE]] = True
    touched = model.face_part[used[model.faces].any(axis=1)]
    faces = model.faces[model.face_part == np.bincount(touched).argmax()]
    triangles = np.concatenate([faces[:, :3], faces[faces[:, 3] >= 0][:, [0, 2, 3]]])
    vertices = model.rest(model.identity_coefficients(), fit_eyes=False).vertices.astype(np.float64)
    landmarks = embedding.points(vertices)[:FACE]
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    middles = (a + b + c) / 3.0
    close = np.linalg.norm(middles - landmarks[nearest_rows(landmarks, middles)], axis=1) < MARGIN
    normals = np.cross(b - a, c - a)
    outward = middles - (landmarks.mean(axis=0) - np.array([0.0, 0.0, DEPTH]))
    lengths = np.linalg.norm(normals, axis=1) * np.linalg.norm(outward, axis=1)
    return triangles[close & (np.sum(normals * outward, axis=1) > OUTWARD * lengths)]
