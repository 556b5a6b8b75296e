# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame: head pose and expression weights from landmarks, by Gauss-Newton with analytic derivatives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .limited import limited_step
from .pose import head_pose
from .priors import CONTACTS, ExpressionPrior, expression_prior
from .projection import Lens, Pose, pose_columns, project, shape_columns
from .slices import FACE, FaceRows

Array = np.ndarray

PIXEL_NOISE = 0.004
"""A detector's own noise per frame, as a share of the face's size in the picture."""
DEPTH_SIGMA = 0.003
"""Metres: a detector's depth is a guess of its own, but it tells turning from moving."""
DEPTH_STRIDE = 6
CONTACT_SIGMA = 4e-4
"""Metres: how well the distance of two landmarks that may touch is known."""


@dataclass(frozen=True)
class FaceState:
    """What a frame shows."""

    pose: Pose
    weights: Array
    """(E,) float64."""


@dataclass(frozen=True)
class Expected:
    """What is known of one frame's weights besides its landmarks: x'Px/2 - p'x."""

    precision: Array
    """(E, E) P, the prior's and that of scores."""
    pull: Array
    """(E,) p, the precision-weighted expectation."""


def pixels_per_metre(lens: Lens, pose: Pose) -> float:
    """Scale of the picture at the head."""
    return lens.focal / max(-float(pose.translation[2]), 0.05)


@dataclass(frozen=True)
class FrameSolver:
    """Solves frames of one person before one kind of landmark detector."""

    face: FaceRows
    prior: ExpressionPrior
    shapes: Array = field(repr=False)
    """(468, 3, E) contiguous."""
    scatter: Array = field(repr=False)
    """(468,) metres of uncertainty of each landmark."""

    @staticmethod
    def of(face: FaceRows, scatter: Array | None = None) -> FrameSolver:
        """For a person; `scatter` ((468,) metres) instead of the embedding's, after a refined surface took
        the steady part of it away.
        """
        shapes = np.ascontiguousarray(face.expression.transpose(1, 2, 0))
        spread = face.scatter[:FACE] if scatter is None else scatter
        return FrameSolver(face, expression_prior(face.names), shapes, spread)

    @property
    def count(self) -> int:
        """E, the number of expression weights."""
        return self.shapes.shape[2]

    def points(self, weights: Array) -> Array:
        """(468, 3) metres: the landmarks with this expression, head frame."""
        return self.face.points + self.shapes @ weights

    def start(self, landmarks: Array, lens: Lens) -> FaceState:
        """A first state: rest expression, and the pose that fits it."""
        pose, _ = head_pose(self.face.points, landmarks[:, :2], lens)
        return FaceState(pose, np.zeros(self.count))

    def normal(self, landmarks: Array, lens: Lens, state: FaceState) -> tuple[Array, Array, Array]:
        """Normal matrix (6 + E, 6 + E), its right side (6 + E,) and the residuals (468, 2) px of one frame,
        without priors. landmarks: (468, 2 or 3) px.
        """
        px, arm, slope = project(self.points(state.weights), state.pose, lens)
        columns = np.empty((FACE, 2, 6 + self.count))
        columns[:, :, :6] = pose_columns(arm, slope)
        columns[:, :, 6:] = shape_columns(self.shapes, slope, state.pose.rotation)
        seen = landmarks[:, :2]
        errors = seen - px
        inverse = self.trust(errors, seen, lens, state)[:, None]
        tight = self.contact_trust(errors, seen, lens, state)[:, None]
        first, second = CONTACTS.T
        scaled = np.concatenate(
            [columns * inverse[..., None], (columns[first] - columns[second]) * tight[..., None]]
        ).reshape(-1, 6 + self.count)
        right = np.concatenate([errors * inverse, (errors[first] - errors[second]) * tight]).ravel()
        normal, gradient = scaled.T @ scaled, scaled.T @ right
        if landmarks.shape[1] == 3:
            metre = pixels_per_metre(lens, state.pose)
            depths, off = self._depth(landmarks[:, 2] / metre, arm, state)
            normal += depths.T @ depths
            gradient += depths.T @ off
        return normal, gradient, errors

    def _depth(self, depth: Array, arm: Array, state: FaceState) -> tuple[Array, Array]:
        """Scaled derivatives (n, 6 + E) and errors (n,) of a detector's relative depth ((468,) metres,
        larger is farther), at every few landmarks: neighbours say the same.
        """
        few = slice(None, None, DEPTH_STRIDE)
        rows = np.zeros((len(arm[few]), 6 + self.count))
        rows[:, 0], rows[:, 1] = -arm[few, 1], arm[few, 0]
        rows[:, 6:] = -(state.pose.rotation[2] @ self.shapes[few])
        rows -= rows.mean(axis=0)
        seen, found = depth[few], -arm[few, 2]
        off = (seen - seen.mean()) - (found - found.mean())
        return rows / DEPTH_SIGMA, off / DEPTH_SIGMA

    def trust(self, errors: Array, landmarks: Array, lens: Lens, state: FaceState) -> Array:
        """(468,) inverse px: one over each landmark's uncertainty, outliers (Cauchy) trusted less."""
        variance = self._variance(landmarks, lens, state)
        return _believed(errors, variance) / np.sqrt(variance)

    def contact_trust(self, errors: Array, landmarks: Array, lens: Lens, state: FaceState) -> Array:
        """(C,) inverse px of the distances of `CONTACTS`, each believed as far as both its landmarks are."""
        believed = _believed(errors, self._variance(landmarks, lens, state))
        return np.min(believed[CONTACTS], axis=1) / (CONTACT_SIGMA * pixels_per_metre(lens, state.pose))

    def _variance(self, landmarks: Array, lens: Lens, state: FaceState) -> Array:
        """(468,) square px."""
        size = float(np.max(np.ptp(landmarks, axis=0)))
        return (self.scatter * pixels_per_metre(lens, state.pose)) ** 2 + (PIXEL_NOISE * size) ** 2

    def solve(
        self,
        landmarks: Array,
        lens: Lens,
        state: FaceState,
        expected: Expected,
        previous: tuple[FaceState, float] | None = None,
        iterations: int = 3,
    ) -> FaceState:
        """The state that fits `landmarks` ((468, 2 or 3) px, the third a detector's relative depth), starting
        from `state`.

        `previous`: an earlier frame's state and the seconds since; the weights are held near it as far as a
        face accelerates. eyeLook weights keep the value that `state` gives them.
        """
        stiffness, pull = expected.precision, expected.pull
        if previous is not None:
            steady = 1.0 / np.maximum(self.prior.acceleration * previous[1] ** 2, 1e-3) ** 2
            stiffness = stiffness + np.diag(steady)
            pull = pull + steady * previous[0].weights
        for _ in range(iterations):
            normal, right, _ = self.normal(landmarks, lens, state)
            normal[6:, 6:] += stiffness
            right[6:] += pull - stiffness @ state.weights
            low, high = self.limits(state.weights)
            step = limited_step(normal, right, low, high)
            state = FaceState(state.pose.moved(step[:6]), state.weights + step[6:])
        return state

    def limits(self, weights: Array) -> tuple[Array, Array]:
        """How far a step ((6 + E,) each) may go down and up; eyeLook weights not at all."""
        low, high = self.prior.low - weights, self.prior.high - weights
        low[self.prior.looks] = high[self.prior.looks] = 0.0
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
        for closed, opened in self.prior.within:
            # ARKit's mouthClose says how far the lips close over an open jaw, so it ends where the jaw does.
            room = max(weights[opened], 0.0) - weights[closed]
            high[closed] = max(min(high[closed], room), low[closed])
        free = np.full(6, np.inf)
        return np.concatenate([-free, low]), np.concatenate([free, high])


def _believed(errors: Array, variance: Array) -> Array:
    """(n,) 0..1, the root of Cauchy's weight: 1 for errors (n, 2) px within their variance, 0 far out."""
    return 1.0 / np.sqrt(1.0 + np.sum(errors**2, axis=1) / (9.0 * variance))
