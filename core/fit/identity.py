# SPDX-License-Identifier: GPL-3.0-or-later
"""Who it is: one identity, and the lens, from many pictures of a person at once.

All pictures are solved together: identity parameters and focal length are shared, head pose and expression
belong to each. The shared unknowns see every picture through its Schur complement, so the cost grows with the
number of pictures and not with its cube.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .frame import Expected, FaceState, FrameSolver
from .limited import limited_step
from .pose import head_pose
from .priors import identity_prior
from .projection import Lens, pose_columns, project, shape_columns
from .slices import FACE, FaceRows, IdentityRows

Array = np.ndarray

ITERATIONS = 12
FOCAL_SPREAD = 0.25
"""Spread of the logarithm of the focal length about the usual one."""
NOTED_FOCAL_SPREAD = 0.03
"""The same about one that a camera noted: lenses breathe, photos are cropped."""
USUAL_FOCAL = 1.25
"""Focal length of phones, webcams and portraits, in longest picture sides."""
SIZE_SPREAD = 0.012
"""Spread of the size of adult faces. One camera cannot tell a small near face from a large far one."""
HOLD = 1e8
"""Stiffness of a weight that is not to be solved for."""
EFFECTIVE_PICTURES = 2.0
"""Detectors repeat their errors in every picture of a person: more pictures than these count no more."""


@dataclass(frozen=True)
class Picture:
    """One observation of the face."""

    landmarks: Array
    """(468, 2) float64 px."""
    size: tuple[int, int]
    """Width and height of the picture, px."""
    expected: Expected
    """What is known of its expression."""
    offset: Array | float = 0.0
    """(468, 3) metres, or 0: how far off its linear expressions the face is, as a turned jaw makes it."""


@dataclass(frozen=True)
class IdentityFit:
    """A person and how each picture shows them."""

    values: dict[str, float]
    """Named identity parameters, those that were solved."""
    lenses: tuple[Lens, ...]
    """One per picture; all alike for a video."""
    states: tuple[FaceState, ...]
    """One per picture."""
    errors: Array
    """(F, 468, 2) px: observed less fitted."""
    face: FaceRows = field(repr=False)
    """The person at the landmarks."""

    @property
    def error_px(self) -> float:
        """Mean distance of fitted and observed landmarks, px."""
        return float(np.mean(np.linalg.norm(self.errors, axis=2)))


def fit_identity(
    rows: IdentityRows,
    face: FaceRows,
    pictures: Sequence[Picture],
    *,
    cameras: Sequence[int] | None = None,
    focal: float | None = None,
    known: Mapping[str, float] | None = None,
) -> IdentityFit:
    """The person in `pictures`.

    face: any person of the model, for its expressions and scatter. cameras: which camera took each picture
    (0, 1, ...), one for all when it is left out.
    focal: px, when it is known. known: identity parameters that somebody told.
    """
    problem = _Problem.of(rows, face, pictures, cameras, focal, known or {})
    best = problem.start()
    cost = np.inf
    for iteration in range(ITERATIONS):
        candidate, found = problem.step(best)
        best = candidate
        if iteration > 3 and cost - found < 1e-4 * found:
            break
        cost = found
    return problem.result(best)


@dataclass(frozen=True)
class _Guess:
    identity: Array
    log_focal: Array
    states: tuple[FaceState, ...]


@dataclass(frozen=True)
class _Problem:
    rows: IdentityRows
    face: FaceRows
    pictures: Sequence[Picture]
    lens_of: Array
    names: tuple[str, ...]
    mean: Array
    sigma: Array
    log_focal: Array
    focal_sigma: float
    fixed: dict[str, float]
    size: float

    @staticmethod
    def of(
        rows: IdentityRows,
        face: FaceRows,
        pictures: Sequence[Picture],
        cameras: Sequence[int] | None,
        focal: float | None,
        known: Mapping[str, float],
    ) -> _Problem:
        names = rows.visible_names()
        mean, sigma = identity_prior(names, rows.model.identity_default, known)
        lens_of = np.zeros(len(pictures), int) if cameras is None else np.asarray(cameras)
        first = [int(np.flatnonzero(lens_of == lens)[0]) for lens in range(lens_of.max() + 1)]
        log_focal = np.log([focal or USUAL_FOCAL * max(pictures[i].size) for i in first])
        spread = NOTED_FOCAL_SPREAD if focal else FOCAL_SPREAD
        fixed = {name: value for name, value in known.items() if name not in names}
        usual_face = rows.points({**fixed, **dict(zip(names, mean.tolist(), strict=True))})
        size, _ = _size(usual_face, np.zeros((FACE, 3, 0)))
        return _Problem(rows, face, pictures, lens_of, names, mean, sigma, log_focal, spread, fixed, size)

    def values(self, identity: Array) -> dict[str, float]:
        return {**self.fixed, **dict(zip(self.names, identity.tolist(), strict=True))}

    def lens(self, guess: _Guess, index: int) -> Lens:
        width, height = self.pictures[index].size
        return Lens(float(np.exp(guess.log_focal[self.lens_of[index]])), np.array([width, height]) / 2.0)

    def start(self) -> _Guess:
        identity = self.mean.copy()
        points = self.rows.points(self.values(identity))
        guess = _Guess(identity, self.log_focal.copy(), ())
        states = []
        for index, picture in enumerate(self.pictures):
            pose, _ = head_pose(points, picture.landmarks, self.lens(guess, index))
            states.append(FaceState(pose, np.zeros(len(self.face.names))))
        return replace(guess, states=tuple(states))

    def solver(self, identity: Array) -> FrameSolver:
        face = replace(self.face, points=self.rows.points(self.values(identity)))
        return FrameSolver.of(face)

    def step(self, guess: _Guess) -> tuple[_Guess, float]:
        """One Gauss-Newton step over everything, and the cost before it."""
        shapes = np.ascontiguousarray(
            self.rows.jacobian(self.values(guess.identity), self.names).transpose(1, 2, 0)
        )
        solver = self.solver(guess.identity)
        lenses, count = len(self.log_focal), len(self.names)
        shared = lenses + count
        normal, right = np.zeros((shared, shared)), np.zeros(shared)
        share = min(1.0, EFFECTIVE_PICTURES / len(self.pictures))
        cost, local = 0.0, []
        for index, picture in enumerate(self.pictures):
            block = self._linearise(solver, shapes, guess, index, picture)
            cost += share * block.cost
            back = np.linalg.solve(block.own, np.c_[block.cross, block.own_right])
            normal += share * (block.common - block.cross.T @ back[:, :-1])
            right += share * (block.common_right - block.cross.T @ back[:, -1])
            local.append((block, back))
        prior = np.concatenate([np.full(lenses, self.focal_sigma), self.sigma]) ** -2.0
        off = np.concatenate([self.log_focal - guess.log_focal, self.mean - guess.identity])
        cost += float(np.sum(prior * off**2))
        size, slope = _size(self.rows.points(self.values(guess.identity)), shapes)
        slope = np.concatenate([np.zeros(lenses), slope]) / (SIZE_SPREAD * self.size)
        small = (self.size - size) / (SIZE_SPREAD * self.size)
        normal += np.outer(slope, slope)
        right += slope * small
        low, high = self._limits(guess)
        step = limited_step(normal + np.diag(prior), right + prior * off, low, high)
        states = tuple(
            self._moved(solver, state, back[:, -1] - back[:, :-1] @ step)
            for state, (_, back) in zip(guess.states, local, strict=True)
        )
        return _Guess(guess.identity + step[lenses:], guess.log_focal + step[:lenses], states), cost

    def _limits(self, guess: _Guess) -> tuple[Array, Array]:
        limits = self.rows.model.identity_limits
        bounds = np.array([limits[name] for name in self.names])
        lens = np.full(len(self.log_focal), 0.3)
        low, high = bounds[:, 0] - guess.identity, bounds[:, 1] - guess.identity
        return np.concatenate([-lens, np.minimum(low, 0)]), np.concatenate([lens, np.maximum(high, 0)])

    @staticmethod
    def _moved(solver: FrameSolver, state: FaceState, step: Array) -> FaceState:
        low, high = solver.limits(state.weights)
        step = np.clip(step, low, high)
        return FaceState(state.pose.moved(step[:6]), state.weights + step[6:])

    def _linearise(
        self, solver: FrameSolver, shapes: Array, guess: _Guess, index: int, picture: Picture
    ) -> _Block:
        state, lens = guess.states[index], self.lens(guess, index)
        px, arm, slope = project(solver.points(state.weights) + picture.offset, state.pose, lens)
        own = np.concatenate(
            [pose_columns(arm, slope), shape_columns(solver.shapes, slope, state.pose.rotation)], axis=2
        )
        common = np.zeros((FACE, 2, len(self.log_focal) + len(self.names)))
        common[:, :, self.lens_of[index]] = px - lens.centre
        common[:, :, len(self.log_focal) :] = shape_columns(shapes, slope, state.pose.rotation)
        errors = picture.landmarks - px
        weight = solver.trust(errors, picture.landmarks, lens, state)[:, None, None]
        own, common = ((columns * weight).reshape(2 * FACE, -1) for columns in (own, common))
        scaled = (errors * weight[..., 0]).ravel()
        matrix, gradient = own.T @ own, own.T @ scaled
        expected, weights = picture.expected, state.weights
        matrix[6:, 6:] += expected.precision
        matrix[solver.prior.looks + 6, solver.prior.looks + 6] += HOLD
        gradient[6:] += expected.pull - expected.precision @ weights
        cost = float(scaled @ scaled + weights @ expected.precision @ weights - 2.0 * expected.pull @ weights)
        return _Block(matrix, own.T @ common, common.T @ common, gradient, common.T @ scaled, cost)

    def result(self, guess: _Guess) -> IdentityFit:
        solver = self.solver(guess.identity)
        lenses = tuple(self.lens(guess, index) for index in range(len(self.pictures)))
        errors = np.stack(
            [
                picture.landmarks
                - project(solver.points(state.weights) + picture.offset, state.pose, lens)[0]
                for picture, state, lens in zip(self.pictures, guess.states, lenses, strict=True)
            ]
        )
        return IdentityFit(self.values(guess.identity), lenses, guess.states, errors, solver.face)


def _size(points: Array, shapes: Array) -> tuple[float, Array]:
    """Rms distance of the landmarks (n, 3) from their middle, metres, and its change with each of the shapes
    ((n, 3, P)), (P,).
    """
    arms = points - points.mean(axis=0)
    size = float(np.sqrt(np.mean(np.sum(arms**2, axis=1))))
    return size, np.einsum("nd,ndp->p", arms, shapes) / (len(points) * size)


@dataclass(frozen=True)
class _Block:
    """Normal equations of one picture: its own unknowns, the common ones, and what ties them."""

    own: Array
    cross: Array
    common: Array
    own_right: Array
    common_right: Array
    cost: float
