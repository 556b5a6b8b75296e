# SPDX-License-Identifier: GPL-3.0-or-later
"""Least squares within limits: the one solver under all fits is held against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from fit_support import LENS, FaceState, face_of, random_pose, random_weights, seen

from core.fit.frame import FrameSolver
from core.fit.limited import limited_step

Problem = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_problem(rng: np.random.Generator, size: int, condition: float = 1e-3) -> Problem:
    """A convex problem with the start within its limits, most of which matter."""
    spread = rng.normal(size=(size + 2, size))
    normal = spread.T @ spread + condition * np.eye(size)
    return normal, 5.0 * rng.normal(size=size), -0.5 * rng.random(size), 0.5 * rng.random(size)


def cost(problem: Problem, step: np.ndarray) -> float:
    normal, gradient, _, _ = problem
    return float(0.5 * step @ normal @ step - gradient @ step)


def by_scipy(problem: Problem) -> np.ndarray:
    from scipy.optimize import lsq_linear

    normal, gradient, low, high = problem
    factor = np.linalg.cholesky(normal)
    target = np.linalg.solve(factor, gradient)
    return lsq_linear(factor.T, target, (low, high), method="bvls", tol=1e-14).x


@pytest.mark.parametrize("size", [1, 2, 5, 20, 58])
def test_it_finds_what_a_general_solver_finds(size):
    rng = np.random.default_rng(size)
    for _ in range(20):
        problem = random_problem(rng, size)
        found, expected = limited_step(*problem), by_scipy(problem)
        assert np.all(found >= problem[2]) and np.all(found <= problem[3])
        assert np.abs(found - expected).max() < 1e-7


def test_no_other_point_within_the_limits_is_better():
    rng = np.random.default_rng(1)
    for _ in range(10):
        problem = random_problem(rng, 3)
        grid = np.stack(
            np.meshgrid(*(np.linspace(low, high, 31) for low, high in zip(*problem[2:], strict=True))),
            axis=-1,
        ).reshape(-1, 3)
        best = np.min(0.5 * np.einsum("pi,ij,pj->p", grid, problem[0], grid) - grid @ problem[1])
        assert cost(problem, limited_step(*problem)) <= best + 1e-12


def test_without_limits_it_is_the_plain_solution():
    rng = np.random.default_rng(2)
    normal, gradient, _, _ = random_problem(rng, 30)
    wide = np.full(30, np.inf)
    assert np.allclose(limited_step(normal, gradient, -wide, wide), np.linalg.solve(normal, gradient))


def test_what_may_not_move_stays():
    rng = np.random.default_rng(3)
    normal, gradient, low, high = random_problem(rng, 12)
    low[[2, 7]] = high[[2, 7]] = 0.0
    low[4] = high[4] = 0.25
    step = limited_step(normal, gradient, low, high)
    assert np.array_equal(step[[2, 7, 4]], [0.0, 0.0, 0.25])
    free = np.setdiff1d(np.arange(12), [2, 7, 4])
    rest = gradient[free] - normal[np.ix_(free, [4])] @ [0.25]
    smaller = (normal[np.ix_(free, free)], rest, low[free], high[free])
    assert np.allclose(step[free], by_scipy(smaller), atol=1e-8)


def test_all_held_and_nothing_to_do_are_steps_too():
    assert np.array_equal(limited_step(np.eye(3), np.ones(3), np.zeros(3), np.zeros(3)), np.zeros(3))
    assert np.array_equal(limited_step(np.eye(2), np.zeros(2), -np.ones(2), np.ones(2)), np.zeros(2))


def test_a_problem_that_is_hard_for_pivots_still_ends_within_its_limits():
    rng = np.random.default_rng(4)
    for condition in (1e-6, 1e-9):
        for _ in range(10):
            problem = random_problem(rng, 40, condition)
            step = limited_step(*problem)
            assert np.all(step >= problem[2]) and np.all(step <= problem[3])
            assert cost(problem, step) <= cost(problem, by_scipy(problem)) + 1e-6


def test_the_steps_of_real_frames_are_the_best_ones():
    rng = np.random.default_rng(5)
    face = face_of()
    solver = FrameSolver.of(face)
    wide = np.full(6, 10.0)
    for _ in range(5):
        state = FaceState(random_pose(rng), random_weights(rng))
        landmarks = seen(face, state) + rng.normal(size=(468, 2)) * 1.5
        current = solver.start(landmarks, LENS)
        for _ in range(3):
            normal, gradient, _ = solver.normal(landmarks, LENS, current)
            normal[6:, 6:] += solver.prior.precision
            gradient[6:] -= solver.prior.precision @ current.weights
            low, high = solver.limits(current.weights)
            low[:6], high[:6] = -wide, wide
            moving = high > low
            problem = (normal[np.ix_(moving, moving)], gradient[moving], low[moving], high[moving])
            step = limited_step(normal, gradient, low, high)
            assert np.abs(step[moving] - by_scipy(problem)).max() < 1e-6
            current = FaceState(current.pose.moved(step[:6]), current.weights + step[6:])
