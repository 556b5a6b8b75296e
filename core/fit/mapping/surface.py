# SPDX-License-Identifier: GPL-3.0-or-later
"""A head model at its landmarks, as a function of expression and jaw, with derivatives.

A landmark is a weighted sum of three rows, and the jaw turns each row by its own share. With y = sum_c b_c
w_c (v_c - h) over the corners (barycentric b, the jaw's skin weight w, the joint h), a landmark under the
jaw's rotation R is at x + (R - I) y: exact linear blend skinning, at the price of one more basis. What
follows the jaw in the hierarchy counts as the jaw's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import rotation
from ...errors import ModelError
from ...head import HeadModel, Rest
from ...head.embedding import LandmarkEmbedding
from ..projection import skew

Array = np.ndarray

NO_JAW = "2023_no_jaw"
"""The release of FLAME that has a jaw joint and is not to use it: its expressions open the mouth."""


@dataclass(frozen=True)
class Surface:
    """L landmarks of one person."""

    points: Array
    """(L, 3) float64 metres at rest."""
    shapes: Array
    """(E, L, 3) float64 metres: each expression at 1."""
    arms: Array
    """(L, 3) float64 metres: what the jaw turns, from its joint; zero without a jaw."""
    arm_shapes: Array
    """(E, L, 3) float64 metres."""
    has_jaw: bool
    scatter: Array
    """(L,) float64 metres: how sure the landmarks are."""

    @staticmethod
    def of(
        model: HeadModel, embedding: LandmarkEmbedding, landmarks: slice, rest: Rest | None = None
    ) -> Surface:
        """Gather `landmarks` of a person, the model's default one where no `rest` is given."""
        rest = rest or model.rest(model.identity_coefficients())
        rows, bary = embedding.rows[landmarks], embedding.weights[landmarks].astype(np.float64)
        if rows.max() >= len(rest.vertices):
            raise ModelError(
                f"The landmarks are not those of the head model {model.name!r}.", "Calibrate it again."
            )
        corners = rest.vertices[rows].astype(np.float64)
        used, back = np.unique(rows, return_inverse=True)
        deltas = model.expression.at(used)[:, back.ravel()].reshape(-1, *rows.shape, 3)
        jaw = jaw_joint(model)
        turned = np.zeros_like(bary) if jaw is None else bary * carried_weights(model, jaw)[rows]
        joint = np.zeros(3) if jaw is None else rest.joint_heads[model.joint_names.index(jaw)]
        return Surface(
            points=np.einsum("lcd,lc->ld", corners, bary),
            shapes=np.einsum("elcd,lc->eld", deltas, bary),
            arms=np.einsum("lcd,lc->ld", corners - joint, turned),
            arm_shapes=np.einsum("elcd,lc->eld", deltas, turned),
            has_jaw=jaw is not None,
            scatter=embedding.scatter[landmarks].astype(np.float64),
        )

    def at(self, expression: Array, jaw: Array) -> Array:
        """(L, 3) metres under `expression` (E,) and the jaw's rotation vector (3,)."""
        turn = rotation.to_matrix(rotation.from_rotation_vector(jaw)) - np.eye(3)
        return self.points + np.tensordot(expression, self.shapes, 1) + self._arm(expression) @ turn.T

    def _arm(self, expression: Array) -> Array:
        return self.arms + np.tensordot(expression, self.arm_shapes, 1)

    def jacobian(self, expression: Array, jaw: Array) -> Array:
        """Derivatives d position / d (expression, jaw), (L, 3, E + 3)."""
        matrix = rotation.to_matrix(rotation.from_rotation_vector(jaw))
        by_shape = self.shapes + self.arm_shapes @ (matrix - np.eye(3)).T
        turned = self._arm(expression) @ matrix.T
        x, y, z = turned.T
        zero = np.zeros_like(x)
        # d (exp(w) a) / dw at w = 0 is -skew(a); the left Jacobian carries it to the rotation vector.
        by_turn = np.stack([[zero, z, -y], [-z, zero, x], [y, -x, zero]]).transpose(2, 0, 1)
        return np.concatenate([by_shape.transpose(1, 2, 0), by_turn @ left_jacobian(jaw)], axis=2)


def left_jacobian(vector: Array) -> Array:
    """J (3, 3) with exp(v + d) = exp(J d) exp(v) to first order (Chirikjian 2011, eq. 10.86)."""
    angle = float(np.linalg.norm(vector))
    cross = skew(vector)
    if angle < 1e-6:
        return np.eye(3) + 0.5 * cross
    a, b = (1 - np.cos(angle)) / angle**2, (angle - np.sin(angle)) / angle**3
    return np.eye(3) + a * cross + b * (cross @ cross)


def jaw_joint(model: HeadModel) -> str | None:
    """The joint that opens the mouth, or None where an expression does."""
    if model.provenance.get("flame_variant") == NO_JAW:
        return None
    role = model.roles.get("jaw")
    if isinstance(role, str):
        return role
    return "jaw" if "jaw" in model.joint_names else None


def carried_weights(model: HeadModel, joint: str) -> Array:
    """(V,) float64: the share of each row that follows a joint and what hangs on it."""
    carried = np.zeros(model.joint_count, bool)
    carried[model.joint_names.index(joint)] = True
    for child, parent in enumerate(model.joint_parents):
        carried[child] |= parent >= 0 and carried[parent]
    return np.sum(model.skin_weights * carried[model.skin_joints], axis=1, dtype=np.float64)
