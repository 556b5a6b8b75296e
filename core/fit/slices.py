# SPDX-License-Identifier: GPL-3.0-or-later
"""A head model at its landmarks only: what makes a fit a hundred times cheaper than the whole mesh.

A landmark is a point of a triangle, so its position is a fixed weighted sum of three rows, and so is the
landmark's value in every shape of the identity and expression bases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arkit import ARKIT_NAMES
from ..errors import ModelError
from ..head import HeadModel, Rest
from ..head.embedding import LandmarkEmbedding

Array = np.ndarray

FACE = 468
"""Landmarks 0..467 lie on the skin; the rest belong to the irises."""
FOLLOWED = 0.75
"""Share of a measured response that is believed: people's differ. On ten rendered takes of other people and
on the sample weights are nearest to the truth with about this much."""
INNER_LIPS = ((13, 14), (312, 317), (82, 87), (311, 402), (81, 178), (310, 318), (80, 88))
"""Landmarks of the upper and the lower lip that touch when the mouth closes."""
LEAST_EFFECT = 1.5e-4
"""Metres rms over the landmarks: a parameter that moves them less cannot be seen."""


@dataclass(frozen=True)
class IdentityRows:
    """The identity of a model at n points of its skin: its 468 face landmarks, unless made otherwise."""

    model: HeadModel
    template: Array
    """(n, 3) float64 metres."""
    shapes: Array
    """(K, n, 3) float64 metres."""

    @staticmethod
    def of(model: HeadModel, embedding: LandmarkEmbedding) -> IdentityRows:
        """Gather the landmark rows out of the bases (about 0.1 s)."""
        return IdentityRows.of_rows(model, embedding.rows[:FACE], embedding.weights[:FACE])

    @staticmethod
    def of_rows(model: HeadModel, rows: Array, weights: Array) -> IdentityRows:
        """For any n points of the skin: each is the sum of m rows ((n, m) int) by their weights ((n, m))."""
        if rows.max() >= model.visible_count:
            raise ModelError(f"A landmark of {model.name!r} does not lie on its skin.", "Calibrate it again.")
        used, back = np.unique(np.concatenate([rows.ravel(), model.origin_rows]), return_inverse=True)
        points = np.concatenate([model.template[used][None], model.identity.at(used)]).astype(np.float64)
        corners = back[: rows.size].reshape(rows.shape)
        landmarks = np.take(points, corners[:, 0], axis=1) * weights[:, :1].astype(np.float64)
        for c in range(1, rows.shape[1]):
            landmarks += np.take(points, corners[:, c], axis=1) * weights[:, c : c + 1].astype(np.float64)
        if len(model.origin_rows):
            origin = points[:, back[rows.size :]].mean(axis=1, keepdims=True)
            landmarks -= origin * np.array([0.0, 1.0, 1.0])
        return IdentityRows(model, landmarks[0], landmarks[1:])

    def points(self, values: Mapping[str, float]) -> Array:
        """(n, 3) float64 metres: the points on the person of these parameters."""
        coefficients = self.model.identity_coefficients(values).astype(np.float64)
        return self.template + np.tensordot(coefficients, self.shapes, 1)

    def jacobian(self, values: Mapping[str, float], names: Sequence[str]) -> Array:
        """(len(names), n, 3) float64: how the points move with each parameter."""
        return np.tensordot(self.model.parameters.jacobian(values, names).T, self.shapes, 1)

    def visible_names(self) -> tuple[str, ...]:
        """Parameters that move the points enough to be estimated from them."""
        names = self.model.identity_names
        moved = self.jacobian(self.model.identity_default, names)
        moved = moved - moved.mean(axis=1, keepdims=True)
        effect = np.sqrt(np.mean(np.sum(moved**2, axis=2), axis=1))
        return tuple(name for name, size in zip(names, effect, strict=True) if size > LEAST_EFFECT)


@dataclass(frozen=True)
class FaceRows:
    """One person at the landmarks: what moves in a performance."""

    points: Array
    """(468, 3) float64 metres: skin landmarks at rest."""
    expression: Array
    """(E, 468, 3) float64 metres."""
    names: tuple[str, ...]
    """(E,) names of the expressions."""
    eyes: Array
    """(2, 3) float64 metres: centres of the left and right eyeball."""
    irises: Array
    """(2, 3) float64 metres: middle of each iris at rest, from its eye's centre."""
    scatter: Array
    """(478,) float64 metres: how far a detector is off at each landmark."""

    @staticmethod
    def of(model: HeadModel, rest: Rest, embedding: LandmarkEmbedding) -> FaceRows:
        """Gather the landmark rows of a person; ARKit's names in their order where the model has them."""
        rows, weights = embedding.rows[:FACE], embedding.weights[:FACE].astype(np.float64)
        used, back = np.unique(rows, return_inverse=True)
        corners = model.expression.at(used)[:, back.ravel()].reshape(-1, *rows.shape, 3)
        shapes = np.einsum("klcd,lc->kld", corners, weights)
        names = model.expression_names
        if set(ARKIT_NAMES) & set(names):
            order = [model.expression_index.get(name) for name in ARKIT_NAMES]
            still = np.zeros((1, FACE, 3))
            shapes = np.concatenate([still if i is None else shapes[i : i + 1] for i in order])
            names = ARKIT_NAMES
        landmarks = embedding.points(rest.vertices).astype(np.float64)
        eyes = np.array([_eye_centre(model, rest, role) for role in ("eye_left", "eye_right")])
        irises = np.stack([landmarks[rows].mean(axis=0) for rows in iris_rows(landmarks)]) - eyes
        return FaceRows(landmarks[:FACE], shapes, names, eyes, irises, embedding.scatter.astype(np.float64))

    @staticmethod
    def seen(model: HeadModel, rest: Rest, embedding: LandmarkEmbedding) -> FaceRows:
        """A person as detectors follow it: expressions move landmarks as far as was measured.

        Only that lips meet is left to the surface: detectors see a closed mouth as closed, and a response is
        a mean over all that mouths do.
        """
        face = FaceRows.of(model, rest, embedding)
        if embedding.response is None or face.names != ARKIT_NAMES:
            return face
        beyond = FOLLOWED * embedding.response.astype(np.float64)
        for pair in INNER_LIPS:
            beyond[:, pair] = beyond[:, pair].mean(axis=1, keepdims=True)
        return replace(face, expression=face.expression + beyond)


def iris_rows(points: Array) -> tuple[slice, slice]:
    """Landmarks of the left and of the right eye's iris, told by where they lie ((478, 3), +X left)."""
    first, second = slice(FACE, FACE + 5), slice(FACE + 5, FACE + 10)
    return (first, second) if points[first, 0].mean() > points[second, 0].mean() else (second, first)


def _eye_centre(model: HeadModel, rest: Rest, role: str) -> Array:
    joint = model.roles.get(role)
    if not isinstance(joint, str):
        raise ModelError(f"The head model {model.name!r} has no joint for its {role.replace('_', ' ')}.")
    return rest.joint_heads[model.joint_names.index(joint)]
