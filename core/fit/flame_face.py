# SPDX-License-Identifier: GPL-3.0-or-later
"""One person of FLAME at the landmarks, by FLAME's own forward pass, as the frame solver takes a face.

The weights of a frame are the expression coefficients, then, where the release has one, the jaw's rotation
vector. About any state the face is made linear: `FaceRows` are the points less what their slope says of the
state, so that one Gauss-Newton step of the solver is one of the true model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..head.flame.forward import FlameParameters, local_vertices, shaped, skinning
from ..head.flame.model import EYE_LEFT, EYE_RIGHT, FlameRows
from .flame_head import FlameHead
from .frame import FrameSolver
from .mapping.names import JAW_NAMES
from .person import STEADY
from .priors import ExpressionPrior, expression_prior
from .slices import FACE, FaceRows, iris_rows

Array = np.ndarray

JAW_LIMIT = 0.8
"""Radians: no jaw turns farther."""
JAW_SIGMA = 0.3
JAW_ACCELERATION = 20.0
"""Rms, rad/s^2: a jaw opens within a tenth of a second."""
ACCELERATION = 150.0
"""Rms, 1/s^2, of a coefficient."""
_FARTHEST = 10.0
"""Deviations of an expression coefficient."""
_STEP = 1e-4


@dataclass(frozen=True)
class FlameFace:
    """A person, in FLAME's own frame before the head's rotation and translation."""

    flame: FlameHead
    rows: FlameRows
    """The person at the corners of the landmarks; its identity is part of the template."""
    corners: Array
    """(478, 3) places in `rows`."""
    bary: Array
    """(478, 3) float64."""
    offsets: Array
    """(468, 3) metres: where the detector puts this person's landmarks, off their places on the surface, so
    that no expression is made of what the shape cannot say. Solvers have them, `points` has not.
    """
    steady: float = 1.0
    """Share of the embedding's scatter that is left beside the offsets."""

    @staticmethod
    def of(flame: FlameHead, shape: Array) -> FlameFace:
        """The person of identity coefficients (S,)."""
        used, corners = np.unique(flame.embedding.rows, return_inverse=True)
        rows = flame.model.at(used, flame.mode)
        person = replace(
            rows,
            template=shaped(rows, shape),
            joints=rows.joints + np.tensordot(shape, rows.joint_shapes[: len(shape)], 1),
            shapes=rows.shapes[:0],
            joint_shapes=rows.joint_shapes[:0],
        )
        corners = corners.reshape(flame.embedding.rows.shape)
        bary = flame.embedding.weights.astype(np.float64)
        return FlameFace(flame, person, corners, bary, np.zeros((FACE, 3)))

    def with_offsets(self, offsets: Array) -> FlameFace:
        """The same person with landmarks that are off by (468, 3) metres."""
        return replace(self, offsets=offsets, steady=STEADY)

    @property
    def expression_count(self) -> int:
        """Coefficients before the jaw."""
        return len(self.rows.expressions)

    @property
    def count(self) -> int:
        """Weights of a frame: expression, then jaw."""
        return self.expression_count + 3 * self.flame.model.has_jaw

    @property
    def names(self) -> tuple[str, ...]:
        """Of the weights."""
        expressions = (f"expression_{i:03d}" for i in range(self.expression_count))
        return (*expressions, *(JAW_NAMES if self.flame.model.has_jaw else ()))

    @cached_property
    def prior(self) -> ExpressionPrior:
        """Standard normal coefficients, and a jaw that opens no farther than jaws do."""
        jaw = self.count - self.expression_count

        def joined(expression: float, turn: float) -> Array:
            return np.r_[np.full(self.expression_count, expression), np.full(jaw, turn)]

        far = joined(_FARTHEST, JAW_LIMIT)
        return replace(
            expression_prior(self.names),
            precision=np.diag(joined(1.0, JAW_SIGMA) ** -2.0),
            low=-far,
            high=far,
            acceleration=joined(ACCELERATION, JAW_ACCELERATION),
        )

    @cached_property
    def resting(self) -> FaceRows:
        """The face at rest, with its expressions and the jaw made linear."""
        still = np.zeros(self.count)
        points = self.points(still[None], np.zeros((1, 3)))[0]
        joints = self.rows.joints
        eyes = joints[[EYE_LEFT, EYE_RIGHT]]
        irises = np.stack([points[rows].mean(axis=0) for rows in iris_rows(points)]) - eyes
        scatter = self.flame.embedding.scatter.astype(np.float64)
        slope = self._slope(still, np.zeros(3), points[:FACE])
        return FaceRows(points[:FACE], slope.transpose(2, 0, 1), self.names, eyes, irises, scatter)

    def parameters(self, weights: Array, eye_rot: Array) -> FlameParameters:
        """Those of T frames without head pose: weights (T, n), rotation vectors of both eyes (T, 3)."""
        split = self.expression_count
        jaw = weights[:, split:] if self.count > split else None
        return FlameParameters.of(
            self.rows.variant, np.zeros(0), weights[:, :split], mode=self.rows.mode, jaw=jaw, eyes=eye_rot
        )

    def points(self, weights: Array, eye_rot: Array) -> Array:
        """(T, 478, 3) float64 metres: the landmarks of T frames."""
        corners = local_vertices(self.rows, self.parameters(weights, eye_rot))
        return np.einsum("lc,tlcd->tld", self.bary, corners[:, self.corners])

    def solver(self, weights: Array, eye_rot: Array) -> FrameSolver:
        """The solver of a frame about weights (n,) and eyes (3,)."""
        points = self.points(weights[None], eye_rot[None])[0, :FACE]
        slope = self._slope(weights, eye_rot, points)
        face = replace(self.resting, points=points + self.offsets - slope @ weights)
        return FrameSolver(face, self.prior, slope, self.steady * face.scatter[:FACE])

    def _slope(self, weights: Array, eye_rot: Array, points: Array) -> Array:
        """(468, 3, n): how the landmarks move with the weights."""
        if not self.flame.model.has_jaw:
            return self._still_slope
        split = self.expression_count
        turns = skinning(self.rows, self.parameters(weights[None], eye_rot[None]))[0][0]
        moved = np.matmul(turns, self._corner_shapes)  # (n, 3, E)
        slope = np.empty((FACE, 3, self.count))
        slope[:, :, :split] = np.einsum("lc,lcde->lde", self.bary[:FACE], moved[self.corners[:FACE]])
        stepped = np.tile(weights, (3, 1))
        stepped[:, split:] += _STEP * np.eye(3)
        after = self.points(stepped, np.tile(eye_rot, (3, 1)))[:, :FACE]
        slope[:, :, split:] = ((after - points) / _STEP).transpose(1, 2, 0)
        return slope

    @cached_property
    def _corner_shapes(self) -> Array:
        """(rows, 3, E) contiguous."""
        return np.ascontiguousarray(self.rows.expressions.transpose(1, 2, 0))

    @cached_property
    def _still_slope(self) -> Array:
        """Without a jaw the skin is linear: only eyeballs turn."""
        return np.einsum("lc,lcde->lde", self.bary[:FACE], self._corner_shapes[self.corners[:FACE]])
