# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast solver of compressed skinning on any mesh: valid always, and as good whatever the unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import Cancelled
from core.progress import silent
from core.skin.measure import errors, laplacian_pairs
from core.skin.problem import Budget, NoCheckpoint, Problem, Settings, Solution

Array = np.ndarray

SMALL = Budget(bones=6, influences=3, coefficients=150)
SIDE = 13


def solve(problem: Problem, budget: Budget = SMALL, seed: int = 1) -> Solution:
    """By the fast solver, and valid whatever the problem is."""
    from core.skin.fast.solve import solve_fast

    solution = solve_fast(problem, budget, Settings(seed=seed), silent, NoCheckpoint())
    check(problem, budget, solution)
    return solution


def check(problem: Problem, budget: Budget, solution: Solution) -> None:
    """What every solution keeps."""
    weights, transforms = solution.weights, solution.transforms
    assert weights.dtype == transforms.dtype == np.float32
    assert weights.shape == (problem.n_vertices, budget.bones)
    assert transforms.shape == (problem.n_shapes, budget.bones, 6)
    assert np.isfinite(weights).all() and np.isfinite(transforms).all()
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert np.count_nonzero(weights, axis=1).max() <= budget.influences
    assert np.count_nonzero(transforms) <= budget.coefficients


def share(problem: Problem, solution: Solution) -> float:
    """RMSE as a share of what doing nothing would leave."""
    size = float(np.sqrt(np.square(problem.deltas.astype(np.float64)).mean()))
    return errors(problem, solution.weights, solution.transforms)["rmse"] / size


def sheet(side: int = SIDE) -> tuple[Array, Array]:
    """A bent square of quads: (side^2, 3) of about two units, and its faces."""
    u, v = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    points = np.stack([u, v, 0.4 * np.cos(1.5 * u) * np.cos(v)], axis=-1).reshape(-1, 3)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    return points, np.stack([corner, corner + 1, corner + side + 1, corner + side], axis=1)


def motions(points: Array, count: int, seed: int = 0) -> Array:
    """(count, N, 3) like a face's shapes: parts that turn or shift, and end softly."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        centre = rng.uniform(-0.8, 0.8, 3) * [1, 1, 0.3]
        reach = rng.uniform(0.3, 0.8)
        mask = np.exp(-np.square(points - centre).sum(axis=1) / reach**2)
        mask[mask < 0.02] = 0
        turn, shift = rng.normal(0, 0.15, 3), rng.normal(0, 0.05, 3)
        found.append(mask[:, None] * (np.cross(turn, points - centre) + shift))
    return np.array(found).reshape(count, len(points), 3)


def problem_of(points: Array, deltas: Array, faces: Array | None = None) -> Problem:
    """Of points (N, 3), shapes (S, N, 3) and faces."""
    pairs = np.zeros((0, 2), np.int32) if faces is None else laplacian_pairs(faces)
    rows = np.ascontiguousarray(deltas.transpose(0, 2, 1), np.float32).reshape(3 * len(deltas), len(points))
    return Problem(points - points.mean(axis=0), rows, pairs)


def face_like(shapes: int = 20, side: int = SIDE) -> Problem:
    """The sheet with motions."""
    points, faces = sheet(side)
    return problem_of(points, motions(points, shapes), faces)


def test_shapes_are_met_within_a_small_budget() -> None:
    problem = face_like()
    assert share(problem, solve(problem)) < 0.28
    assert share(problem, solve(problem, Budget(12, 6, 1200))) < 0.06


def test_what_bones_can_do_is_found() -> None:
    points, faces = sheet()
    rng = np.random.default_rng(3)
    nearest = np.square(points[:, None] - rng.uniform(-1, 1, (5, 3))).sum(axis=2)
    weights = np.where(np.argsort(np.argsort(nearest, axis=1), axis=1) < 2, 1 / (0.05 + nearest), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    transforms = rng.normal(0, 0.2, (15, 5, 6)) * (rng.random((15, 5, 1)) < 0.4)
    moved = np.cross(transforms[:, :, None, :3], points - points.mean(axis=0)) + transforms[:, :, None, 3:]
    problem = problem_of(points, np.einsum("nj,sjnc->snc", weights, moved), faces)
    assert share(problem, solve(problem, Budget(6, 2, np.count_nonzero(transforms)))) < 0.1


@pytest.mark.parametrize("scale", [0.01, 100.0, 0.0254, 1e-5])
def test_the_unit_does_not_matter(scale: float) -> None:
    problem = face_like()
    scaled = replace(problem, rest=problem.rest * scale, deltas=problem.deltas * np.float32(scale))
    plain, other = solve(problem), solve(scaled)
    assert share(scaled, other) == pytest.approx(share(problem, plain), rel=0.05)
    counts = [np.count_nonzero(solution.transforms) for solution in (plain, other)]
    assert counts[1] == pytest.approx(counts[0], rel=0.02)


def triangles(faces: Array) -> Array:
    return np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])


def mixed(faces: Array) -> Array:
    """Quads joined in pairs to hexagons, triangles, and quads, padded with -1."""
    padded = np.full((len(faces), 6), -1)
    padded[:, :4] = faces
    columns = SIDE - 1
    for row in range(0, columns, 2):
        for column in range(0, columns - 1, 2):
            a, b = (row * columns + column + step for step in (0, 1))
            padded[a] = [faces[a][0], faces[a][1], faces[b][1], faces[b][2], faces[a][2], faces[a][3]]
            padded[b] = -1
    padded[columns : columns + 4, 3] = -1
    return padded[(padded >= 0).any(axis=1)]


@pytest.mark.parametrize("kind", [triangles, mixed, None])
def test_any_polygons_or_none(kind) -> None:
    points, faces = sheet()
    deltas = motions(points, 20)
    quads = problem_of(points, deltas, faces)
    other = problem_of(points, deltas, None if kind is None else kind(faces))
    assert share(other, solve(other)) < 1.15 * share(quads, solve(quads))


def test_islands_and_loose_vertices() -> None:
    points, faces = sheet()
    loose = np.random.default_rng(1).uniform(-1, 1, (9, 3))
    every = np.concatenate([points, points * 0.3 + [0, 0, 2], loose])
    problem = problem_of(every, motions(every, 20), np.concatenate([faces, faces + len(points)]))
    assert share(problem, solve(problem)) < 0.28


def test_static_vertices_stay() -> None:
    points, faces = sheet()
    deltas = motions(points, 12)
    deltas[:, points[:, 1] < 0.3] = 0
    problem = problem_of(points, deltas, faces)
    solution = solve(problem, Budget(8, 4, 400))
    assert share(problem, solution) < 0.05
    still = points[:, 1] < 0.2
    part = replace(
        problem, rest=problem.rest[still], deltas=problem.deltas[:, still], pairs=problem.pairs[:0]
    )
    left = errors(part, solution.weights[still], solution.transforms)["rmse"]
    assert left < 0.01 * np.sqrt(np.square(problem.deltas).mean())


def test_the_order_of_vertices_does_not_matter() -> None:
    points, faces = sheet()
    order = np.random.default_rng(2).permutation(len(points))
    place = np.argsort(order)
    deltas = motions(points, 20)
    plain = problem_of(points, deltas, faces)
    mixed_up = problem_of(points[order], deltas[:, order], place[faces])
    assert share(mixed_up, solve(mixed_up)) < 1.15 * share(plain, solve(plain))


def test_empty_and_duplicate_shapes() -> None:
    points, faces = sheet()
    deltas = motions(points, 20)
    plain = problem_of(points, deltas, faces)
    none = problem_of(points, np.concatenate([deltas[:10], 0 * deltas[:3], deltas[10:]]), faces)
    solution = solve(none)
    assert np.count_nonzero(solution.transforms[10:13]) == 0
    left = errors(none, solution.weights, solution.transforms)["rmse"] * np.sqrt(23 / 20)
    kept = solve(plain)
    assert left < 1.15 * errors(plain, kept.weights, kept.transforms)["rmse"]
    twice = problem_of(points, np.concatenate([deltas, deltas, deltas[:1]]), faces)
    assert share(twice, solve(twice, Budget(6, 3, 310))) < 1.2 * share(plain, kept)


def test_a_thousandth_of_a_shape_does_not_cost_the_others() -> None:
    points, faces = sheet()
    deltas = motions(points, 20)
    plain, noise = (
        problem_of(points, deltas, faces),
        np.random.default_rng(4).normal(0, 1e-6, (4, len(points), 3)),
    )
    noisy = problem_of(points, np.concatenate([deltas, noise]), faces)
    assert share(noisy, solve(noisy)) < 1.1 * share(plain, solve(plain))


@pytest.mark.parametrize(
    ("shapes", "side", "budget", "bound"),
    [
        (5, SIDE, SMALL, 0.1),
        (1, SIDE, SMALL, 0.01),
        (1, SIDE, Budget(1, 1, 6), 1.0),
        (3, SIDE, Budget(20, 4, 300), 0.02),
        (20, 3, Budget(16, 4, 900), 0.001),
        (20, 2, Budget(40, 8, 6000), 0.001),
        (20, SIDE, Budget(4, 9, 100), 0.36),
        (20, SIDE, Budget(8, 8, 300), 0.16),
        (4, SIDE, Budget(3, 2, 10_000), 0.36),
        (20, SIDE, Budget(6, 1, 150), 0.5),
        (500, 8, Budget(8, 3, 3000), 0.35),
    ],
    ids=[
        "five shapes",
        "one shape",
        "one bone",
        "fewer shapes than bones",
        "fewer vertices than bones",
        "four vertices",
        "more influences than bones",
        "as many influences as bones",
        "more coefficients than there are",
        "one influence",
        "500 shapes",
    ],
)
def test_odd_sizes(shapes: int, side: int, budget: Budget, bound: float) -> None:
    points, faces = sheet(side)
    problem = problem_of(points, motions(points, shapes), faces)
    assert share(problem, solve(problem, budget)) < bound


@pytest.mark.parametrize("coefficients", [0, 1, 5])
def test_hardly_any_coefficients(coefficients: int) -> None:
    problem = face_like()
    assert share(problem, solve(problem, Budget(6, 3, coefficients))) <= 1.0 + 1e-6


def test_one_vertex_and_no_motion() -> None:
    lone = problem_of(np.zeros((1, 3)), np.array([[[0.0, 0.1, 0.0]], [[0.2, 0.0, 0.0]]]))
    assert share(lone, solve(lone)) < 1e-3
    points, faces = sheet()
    still = solve(problem_of(points, np.zeros((4, len(points), 3)), faces))
    assert not still.transforms.any()


def test_vertices_in_one_place_or_in_line() -> None:
    points, faces = sheet()
    deltas = motions(points, 20)
    for flat in (0 * points, points * [1, 0, 0], points * [1, 1, 0]):
        problem = problem_of(flat, deltas, faces)
        assert share(problem, solve(problem)) < 0.4


def test_vertices_far_apart() -> None:
    points, faces = sheet()
    deltas = np.concatenate([motions(points, 20), np.zeros((20, 1, 3))], axis=1)
    problem = problem_of(np.concatenate([points, [[1e4, 0, 0]]]), deltas, faces)
    assert share(problem, solve(problem)) < 0.28


def test_equal_by_seed_and_good_by_any() -> None:
    problem = face_like()
    first, again = solve(problem, seed=7), solve(problem, seed=7)
    np.testing.assert_array_equal(first.weights, again.weights)
    np.testing.assert_array_equal(first.transforms, again.transforms)
    shares = [share(problem, solve(problem, seed=seed)) for seed in (7, 8, 9)]
    assert max(shares) < 1.15 * min(shares)


def test_more_budget_is_no_worse() -> None:
    problem = face_like()
    base = share(problem, solve(problem))
    for more in (Budget(12, 3, 150), Budget(6, 6, 150), Budget(6, 3, 300)):
        assert share(problem, solve(problem, more)) < 1.03 * base


def test_progress_rises_and_a_cancel_comes_through() -> None:
    from core.skin.fast.solve import solve_fast

    seen: list[float] = []

    def watch(fraction: float, _stage: str, _text: str) -> None:
        seen.append(fraction)

    solve_fast(face_like(), SMALL, Settings(), watch, NoCheckpoint())
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert min(seen) >= 0
    assert max(seen) <= 1

    def stop(_fraction: float, _stage: str, _text: str) -> None:
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        solve_fast(face_like(), SMALL, Settings(), stop, NoCheckpoint())
