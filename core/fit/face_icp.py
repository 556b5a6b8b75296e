# SPDX-License-Identifier: GPL-3.0-or-later
"""A head model laid onto a scanned face: iterative closest points with distances to tangent planes (Chen and
Medioni 1992), where not only the pose but identity and expression are solved for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .face_patch import FacePatch
from .limited import limited_step
from .priors import ExpressionPrior, expression_prior, identity_prior
from .projection import Pose, exponential
from .scan import Scan
from .surface import Nearest, farthest_points

Array = np.ndarray

ITERATIONS = 14
STILL = 1e-5
"""Metres rms: a step that moves the face less is the last."""
COARSE, FINE = 3e-3, 3e-4
"""Metres: how exact the surfaces are taken to agree at first, and at most."""
REACH = (0.015, 0.004)
"""Metres: farthest pairs of points at first, and in the end."""
ALIKE = 0.7
"""Least cosine of the normals of a pair."""
START_POINTS = 150
START_ROUNDS = 7
START_REACH = 0.03
START_SHARE = 0.4
"""Of the points that must find a place for a pose to count."""
EFFECTIVE = 600
"""Points that count as independent: neighbours repeat the errors of a mesh."""
START_ROLLS = (0.0, -0.45, 0.45)
"""Radians about the direction of the face, which its shape alone hardly tells."""


@dataclass(frozen=True)
class FaceState:
    """The unknowns."""

    pose: Pose
    """From the head to the mesh's frame."""
    identity: Array
    """(P,)."""
    weights: Array
    """(E,)."""


@dataclass(frozen=True)
class Face:
    """The head's side of a round."""

    vertices: Array
    """(n, 3) metres, head frame."""
    normals: Array
    """(n, 3)."""


@dataclass(frozen=True)
class Pairs:
    """Points of the mesh, in the head frame, with their places on the head."""

    nearest: Nearest
    normals: Array
    """(n, 3) of the head."""
    offsets: Array
    """(n, 3) metres from the head to the mesh."""
    share: float
    """Share of the points that were looked for."""

    @property
    def along(self) -> Array:
        """(n,) metres along the normals."""
        return np.sum(self.normals * self.offsets, axis=1)

    @property
    def errors(self) -> Array:
        """(n,) metres."""
        return np.linalg.norm(self.offsets, axis=1)


@dataclass(frozen=True)
class FaceProblem:
    """A scan, the face it is to be explained by, and what is known beforehand."""

    scan: Scan
    patch: FacePatch
    mean: Array
    sigma: Array
    limits: Array
    fixed: dict[str, float]
    told: Array
    """(P,) bool: what is known."""
    prior: ExpressionPrior

    @staticmethod
    def of(scan: Scan, patch: FacePatch, known: Mapping[str, float]) -> FaceProblem:
        """known: identity parameters that somebody told."""
        names = patch.identity_names
        mean, sigma = identity_prior(names, patch.model.identity_default, known)
        limits = np.array([patch.model.identity_limits[name] for name in names])
        fixed = {name: value for name, value in known.items() if name not in names}
        told = np.array([name in known for name in names])
        prior = expression_prior(patch.expression_names)
        high = prior.high.copy()
        high[prior.looks] = (
            0.0  # without eyeballs nothing tells a gaze, and lids that follow it look like blinks
        )
        return FaceProblem(scan, patch, mean, sigma, limits, fixed, told, replace(prior, high=high))

    def values(self, state: FaceState) -> dict[str, float]:
        """Named identity parameters."""
        return {**self.fixed, **dict(zip(self.patch.identity_names, state.identity.tolist(), strict=True))}

    def oddness(self, state: FaceState) -> float:
        """How far from usual this person and expression are: mean square in spreads, about 0.5 for people."""
        apart = ((state.identity - self.mean) / self.sigma)[~self.told]
        return float(apart @ apart + state.weights @ self.prior.precision @ state.weights) / len(self.mean)

    def face(self, state: FaceState, detail: Array | None = None) -> Face:
        """The face with its expression; `detail`: (n, 3) metres on top."""
        vertices = self.patch.vertices(self.values(state), state.weights)
        vertices = vertices if detail is None else vertices + detail
        return Face(vertices, self.patch.surface.normals(vertices))

    def pairs(self, pose: Pose, face: Face, reach: float, rows: Array | None = None) -> Pairs:
        """What of the mesh (of the points `rows`, (n,)) lies on the head, within `reach` metres."""
        rows = np.arange(len(self.scan.points)) if rows is None else rows
        surface = self.patch.surface
        points = (self.scan.points[rows] - pose.translation) @ pose.rotation
        nearest = surface.nearest(face.vertices, points)
        normals = nearest.sample(face.normals)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        offsets = points - nearest.points
        good = np.sum(offsets**2, axis=1) < reach**2
        good &= np.sum(normals * (self.scan.normals[rows] @ pose.rotation), axis=1) > ALIKE
        good &= ~surface.on_rim(nearest)
        return Pairs(nearest.where(good), normals[good], offsets[good], float(np.mean(good)))

    # ---- start

    def start(self) -> FaceState:
        """Usual person, rest expression, and the best pose of a few short searches."""
        still = np.zeros(len(self.patch.expression_names))
        face = self.face(FaceState(Pose(np.eye(3), np.zeros(3)), self.mean, still))
        some = farthest_points(self.scan.points, START_POINTS)
        found = [self._settle(pose, face, some) for pose in self._poses(face.vertices)]
        return FaceState(min(found, key=lambda pair: pair[1])[0], self.mean.copy(), still)

    def _poses(self, vertices: Array) -> list[Pose]:
        """As the mesh is, and turned so that both look the same way, with some roll."""
        surface = self.patch.surface
        ours = surface.areas(vertices).sum(axis=0)
        ours, theirs = ours / np.linalg.norm(ours), self.scan.facing
        axis = np.cross(ours, theirs)
        sine = float(np.linalg.norm(axis))
        turn = exponential(axis * np.arctan2(sine, ours @ theirs) / max(sine, 1e-12))
        turns = [np.eye(3), *(exponential(roll * theirs) @ turn for roll in START_ROLLS)]
        return [Pose(rotation, self.scan.middle - rotation @ surface.middle(vertices)) for rotation in turns]

    def _settle(self, pose: Pose, face: Face, rows: Array) -> tuple[Pose, float]:
        """The pose after a few rounds over some points ((n,) rows), and its distance per share paired."""
        error = np.inf
        for _ in range(START_ROUNDS):
            pairs = self.pairs(pose, face, START_REACH, rows)
            if pairs.share < START_SHARE:
                return pose, np.inf
            error = float(np.mean(pairs.errors)) / pairs.share
            columns, right = self._pose_columns(pose, pairs), pairs.along
            weight = 1.0 / (1.0 + (right / COARSE) ** 2)
            normal = (columns * weight[:, None]).T @ columns
            step = np.linalg.solve(normal + 1e-6 * np.diag(np.diag(normal)), columns.T @ (weight * right))
            pose = pose.moved(step)
        return pose, error

    # ---- everything together

    def solve(self) -> FaceState:
        """Pose, identity and expression, closer pairs from round to round."""
        state = self.start()
        sigma = COARSE
        for iteration in range(ITERATIONS):
            reach = max(REACH[1], REACH[0] * 0.7**iteration)
            pairs = self.pairs(state.pose, self.face(state), reach)
            if pairs.share < START_SHARE:
                return state
            right = pairs.along
            spread = 1.4826 * float(np.median(np.abs(right)))
            sigma = float(np.clip(spread, FINE, max(FINE, 0.6 * sigma)))
            columns = self._columns(state, pairs)
            step = self._step(state, columns, right, sigma)
            count = len(self.mean)
            state = FaceState(
                state.pose.moved(step[:6]),
                state.identity + step[6 : 6 + count],
                state.weights + step[6 + count :],
            )
            if iteration > 5 and np.sqrt(np.mean((columns @ step) ** 2)) < STILL:
                break
        return state

    def _step(self, state: FaceState, columns: Array, right: Array, sigma: float) -> Array:
        """One Gauss-Newton step with outliers (Cauchy) trusted less."""
        weight = min(1.0, EFFECTIVE / len(right)) / (sigma**2 * (1.0 + (right / (3.0 * sigma)) ** 2))
        normal = (columns * weight[:, None]).T @ columns
        gradient = columns.T @ (weight * right)
        first, second = 6, 6 + len(self.mean)
        places = np.arange(first, second)
        normal[places, places] += self.sigma**-2.0
        gradient[places] += (self.mean - state.identity) * self.sigma**-2.0
        normal[second:, second:] += self.prior.precision
        gradient[second:] -= self.prior.precision @ state.weights
        free = np.full(6, np.inf)  # the pose
        now = np.concatenate([state.identity, state.weights])
        low = np.concatenate([self.limits[:, 0], self.prior.low]) - now
        high = np.concatenate([self.limits[:, 1], self.prior.high]) - now
        return limited_step(
            normal,
            gradient,
            np.concatenate([-free, np.minimum(low, 0)]),
            np.concatenate([free, np.maximum(high, 0)]),
        )

    def _columns(self, state: FaceState, pairs: Pairs) -> Array:
        """How places move along the normals with pose, identity and expression, (n, 6 + P + E)."""
        slopes = pairs.nearest.sample(self.patch.slopes(self.values(state)))
        moved = np.einsum("nd,ndk->nk", pairs.normals, slopes)
        return np.concatenate([self._pose_columns(state.pose, pairs), moved], axis=1)

    @staticmethod
    def _pose_columns(pose: Pose, pairs: Pairs) -> Array:
        """The same for the pose alone, (n, 6): rotation vector and metres, mesh frame."""
        normals = pairs.normals @ pose.rotation.T
        return np.concatenate([np.cross(pairs.nearest.points @ pose.rotation.T, normals), normals], axis=1)
