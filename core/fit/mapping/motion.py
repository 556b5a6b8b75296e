# SPDX-License-Identifier: GPL-3.0-or-later
"""What each ARKit score does to the landmarks of our own body, and that motion carried to another head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import rotation
from ...arkit import ARKIT_NAMES
from ...errors import ModelError
from ...head import HeadModel
from ...head.embedding import LandmarkEmbedding
from ...performance import EYE_ANGLE
from ...series import gaze_directions
from .surface import Surface, carried_weights

Array = np.ndarray


def eye_rotations(angle: float = EYE_ANGLE) -> Array:
    """(52, 6) float64: rotation vectors of the left and right eye at each score 1, radians, head frame.

    A yaw to the subject's left turns about +Y, a lifted gaze about -X.
    """
    directions = angle * gaze_directions(np.eye(len(ARKIT_NAMES)))
    yaw, pitch = directions[..., 0], directions[..., 1]
    return np.stack([-pitch, yaw, np.zeros_like(yaw)], axis=-1).reshape(-1, 6)


def score_motions(model: HeadModel, embedding: LandmarkEmbedding, landmarks: slice) -> Array:
    """(52, L, 3) float64 metres: how far the landmarks of `model` move at each score 1; tongueOut may be
    still.

    The expressions of ARKit's names, and the eyeballs, which turn about their joints. ModelError for a model
    that has none of those names.
    """
    if not set(ARKIT_NAMES) & set(model.expression_names):
        raise ModelError(f"The head model {model.name!r} has no ARKit expressions to derive a mapping from.")
    rest = model.rest(model.identity_coefficients())
    surface = Surface.of(model, embedding, landmarks, rest)
    motions = np.zeros((len(ARKIT_NAMES), *surface.points.shape))
    for k, name in enumerate(ARKIT_NAMES):
        if name in model.expression_index:
            motions[k] = surface.shapes[model.expression_index[name]]
    turns = eye_rotations().reshape(-1, 2, 3)
    rows, bary = embedding.rows[landmarks], embedding.weights[landmarks]
    for eye, role in enumerate(("eye_left", "eye_right")):
        joint = model.roles.get(role)
        if not isinstance(joint, str):
            continue
        centre = rest.joint_heads[model.joint_names.index(joint)]
        share = bary * carried_weights(model, joint)[rows]
        arms = np.einsum("lcd,lc->ld", rest.vertices[rows] - centre, share)
        turned = rotation.to_matrix(rotation.from_rotation_vector(turns[:, eye])) - np.eye(3)
        motions += np.einsum("kde,le->kld", turned, arms)
    return motions


@dataclass(frozen=True)
class Similarity:
    """x -> scale R x + t."""

    scale: float
    rotation: Array
    """(3, 3) float64."""
    translation: Array
    """(3,) float64 metres."""

    @staticmethod
    def between(points: Array, target: Array, weights: Array) -> Similarity:
        """The one that brings `points` (L, 3) nearest to `target` (L, 3) under `weights` (L,) (Umeyama
        1991).
        """
        share = weights / weights.sum()
        a, b = share @ points, share @ target
        moved, fixed = points - a, target - b
        u, singular, vt = np.linalg.svd((share[:, None] * fixed).T @ moved)
        sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
        turn = (u * sign) @ vt
        scale = float((singular * sign).sum() / (share @ np.sum(moved**2, axis=1)))
        return Similarity(scale, turn, b - scale * turn @ a)

    def points(self, points: Array) -> Array:
        """Positions (..., 3) carried over."""
        return self.scale * points @ self.rotation.T + self.translation

    def motions(self, motions: Array) -> Array:
        """Displacements (..., 3) carried over."""
        return self.scale * motions @ self.rotation.T
