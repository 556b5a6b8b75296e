# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole take at once: every frame's landmarks and a face's inertia in one sparse least-squares problem.

Unknowns are ordered frame after frame, so the normal matrix of landmarks (block diagonal) and of second
differences (two blocks to either side) is banded, and a banded Cholesky factorisation solves it in linear
time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import rotation
from .frame import Expected, FaceState, FrameSolver
from .limited import Turns, first_held, wrongly_held
from .projection import Lens

Array = np.ndarray

TURN = 25.0
"""Rms angular acceleration of a talking head, rad/s^2."""
SHIFT = 2.5
"""Rms acceleration of a talking head, m/s^2."""
USUAL_RATE = 30.0
"""Frames/s at which the accelerations above count once per frame."""
ITERATIONS = 3
PASSES = 12
"""Factorisations per iteration at most: the first takes up to nine, the others one or two."""
_HOLD = 1e9


SolverOf = Callable[[int, FaceState], FrameSolver]
"""The solver of a frame about a state, of a face that is not linear in its weights (FLAME's jaw turns)."""


@dataclass(frozen=True)
class TakeInput:
    """What a take shows, by frame; lost frames have been left out."""

    time: Array
    """(T,) float64 s."""
    landmarks: Array
    """(T, 468, 2) float64 px."""
    expected: Sequence[Expected]
    """(T) what is known of each frame's weights."""
    trust: Array
    """(T,) 0..1: how much a frame's landmarks count, its confidence."""


def solve_sequence(
    solver: FrameSolver | SolverOf,
    take: TakeInput,
    lens: Lens,
    states: Sequence[FaceState],
    iterations: int = ITERATIONS,
    strength: float = 1.0,
) -> list[FaceState]:
    """All states of a take from a start for each ((T,) states, e.g. of the frame solver).

    strength: 0 leaves every frame alone, 1 holds to the face's usual inertia, more is smoother. Frames more
    than a second apart are not tied. Needs scipy.
    """
    current = list(states)
    stencil = second_differences(take.time)
    prior = (solver if isinstance(solver, FrameSolver) else solver(0, current[0])).prior
    inertia = np.concatenate([np.full(3, TURN), np.full(3, SHIFT), prior.acceleration])
    stiffness = strength / inertia**2
    for _ in range(iterations):
        blocks, right, low, high = _linearise(solver, take, lens, current)
        path = _path(current)
        rows = _banded(blocks, stencil, stiffness)
        right -= _inertia_gradient(path, stencil, stiffness)
        step = _solve_limited(rows, right, low, high)
        current = [
            FaceState(state.pose.moved(move[:6]), state.weights + move[6:])
            for state, move in zip(current, step, strict=True)
        ]
    return current


def second_differences(time: Array) -> list[tuple[int, Array]]:
    """(first frame, weights (3,)) of each second derivative over three neighbours at uneven times (s),
    scaled by the root of the time they stand for, so that the rate of the take does not matter.
    """
    found = []
    for first in range(len(time) - 2):
        a, b = time[first + 1] - time[first], time[first + 2] - time[first + 1]
        if a + b > 1.0:
            continue
        weights = 2.0 * np.array([1.0 / (a * (a + b)), -1.0 / (a * b), 1.0 / (b * (a + b))])
        weights *= np.sqrt(0.5 * (a + b) * USUAL_RATE)
        found.append((first, weights))
    return found


def _linearise(
    solver: FrameSolver | SolverOf, take: TakeInput, lens: Lens, states: Sequence[FaceState]
) -> tuple[Array, Array, Array, Array]:
    size = 6 + len(states[0].weights)
    count = len(states)
    blocks, right = np.empty((count, size, size)), np.empty((count, size))
    low, high = np.empty((count, size)), np.empty((count, size))
    for i, state in enumerate(states):
        own = solver if isinstance(solver, FrameSolver) else solver(i, state)
        normal, gradient, _ = own.normal(take.landmarks[i], lens, state)
        blocks[i], right[i] = take.trust[i] * normal, take.trust[i] * gradient
        expected = take.expected[i]
        blocks[i, 6:, 6:] += expected.precision
        right[i, 6:] += expected.pull - expected.precision @ state.weights
        low[i], high[i] = own.limits(state.weights)
    return blocks, right, low, high


def _path(states: Sequence[FaceState]) -> Array:
    """(T, 6 + E): rotation vectors about the mean rotation, translations, weights."""
    turns = rotation.continuous(rotation.from_matrix(np.stack([state.pose.rotation for state in states])))
    mean = rotation.normalized(turns.mean(axis=0))
    vectors = rotation.to_rotation_vector(rotation.multiply(turns, rotation.conjugate(mean)))
    places = np.stack([state.pose.translation for state in states])
    return np.concatenate([vectors, places, np.stack([state.weights for state in states])], axis=1)


def _inertia_gradient(path: Array, stencil: Sequence[tuple[int, Array]], stiffness: Array) -> Array:
    gradient = np.zeros_like(path)
    for first, weights in stencil:
        bend = stiffness * (weights @ path[first : first + 3])
        gradient[first : first + 3] += weights[:, None] * bend
    return gradient


def _banded(blocks: Array, stencil: Sequence[tuple[int, Array]], stiffness: Array) -> Array:
    """Lower band (2 size + 1, T size) of the normal matrix, as scipy.linalg.solveh_banded wants it."""
    count, size, _ = blocks.shape
    band = np.zeros((2 * size + 1, count, size))
    for below in range(size):
        rows = np.arange(below, size)
        band[below, :, : size - below] = blocks[:, rows, rows - below]
    for first, weights in stencil:
        for i in range(3):
            for j in range(i + 1):
                band[(i - j) * size, first + j] += weights[i] * weights[j] * stiffness
    return band.reshape(2 * size + 1, count * size)


def _solve_limited(band: Array, right: Array, low: Array, high: Array) -> Array:
    """Steps (T, size) within limits, as `limited.limited_step` finds them, by banded factorisations."""
    from scipy.linalg import get_blas_funcs, solveh_banded

    shape = right.shape
    right, low, high = right.ravel(), low.ravel(), high.ravel()
    columns = np.asfortranarray(band)
    (times,) = get_blas_funcs(("sbmv",), (columns,))
    held = first_held(right, low, high)
    turns = Turns(len(right))
    step = np.zeros(len(right))
    for _ in range(PASSES):
        fixed = held != 0
        target = np.where(held < 0, low, high)
        stiff = band.copy()
        stiff[0, fixed] += _HOLD
        pulled = np.where(fixed, _HOLD * target, right)
        step = solveh_banded(stiff, pulled, overwrite_ab=True, lower=True, check_finite=False)
        step[fixed] = target[fixed]
        push = right - times(len(band) - 1, 1.0, columns, step, lower=1)
        if not turns.take(held, wrongly_held(held, step, push, low, high)):
            break
    return np.clip(step, low, high).reshape(shape)
