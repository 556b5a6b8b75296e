# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the fast solver beside plain twins: dense matrices, numpy's least squares, definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from core.skin.fast.bases import GENERATORS, Bases, bases_of, spread, transforms_of
from core.skin.fast.clusters import clusters_of
from core.skin.fast.state import State, first_state
from core.skin.fast.steps import carried, solve_transforms, solve_weights
from core.skin.fast.worst import Worst, missed_by
from core.skin.measure import laplacian, laplacian_pairs
from core.skin.problem import Problem

SHAPES, SIDE, BONES = 5, 7, 6


@pytest.fixture
def bases() -> Bases:
    """A sheet that bends smoothly and a little at random."""
    rng = np.random.default_rng(3)
    u, v = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE))
    rest = np.stack([u.ravel(), v.ravel(), 0.2 * (u * v).ravel()], axis=1)
    waves = np.stack([np.sin(2 * u + k) * np.cos(k * v) for k in range(3 * SHAPES)]).reshape(3 * SHAPES, -1)
    deltas = (0.3 * waves + 0.01 * rng.normal(size=waves.shape)).astype(np.float32)
    corner = (np.arange(SIDE - 1)[:, None] * SIDE + np.arange(SIDE - 1)).ravel()
    faces = np.stack([corner, corner + 1, corner + SIDE + 1, corner + SIDE], axis=1).astype(np.int32)
    return bases_of(Problem(rest - rest.mean(axis=0), deltas, laplacian_pairs(faces)), 1.5)


def begun(bases: Bases, turns: int = 3, influences: int = 3) -> State:
    """A state in the middle of the work, every number free."""
    state = first_state(clusters_of(bases, BONES, 0), BONES, bases.n_shapes, BONES + 1)
    for turn in range(turns):
        places = carried(bases, state)
        state = solve_transforms(bases, state, None, places)
        solve_weights(bases, state, influences, 2, places[1], forwards=turn % 2 == 0)
    return state


def missed(bases: Bases, state: State) -> np.ndarray:
    """E (3S, n) by its definition."""
    return transforms_of(state.numbers) @ spread(state.dense(), bases.position).T - bases.shapes


def loss_of(bases: Bases, state: State, worst: Worst | None = None) -> float:
    """tr(E Q E^T), and what the worst entries add, by their definitions."""
    off = missed(bases, state)
    loss = float(np.einsum("ij,jk,ik->", off, bases.metric.toarray(), off))
    if worst is not None:
        square = (off.reshape(-1, 3, off.shape[1]) ** 2).sum(axis=1)
        loss += float((worst.weight * square[worst.shape, worst.vertex]).sum())
    return loss


def columns(bases: Bases, state: State) -> np.ndarray:
    """(3n, 6P) what each number does to each coordinate of each vertex, for any one shape."""
    placed = spread(state.dense(), bases.position).reshape(-1, BONES, 4)
    return np.einsum("acd,njd->cnja", GENERATORS, placed).reshape(-1, 6 * BONES)


def whitened(bases: Bases, state: State) -> tuple[np.ndarray, np.ndarray]:
    """The columns and the shapes (3n, S) in coordinates in which the metric is the identity."""
    root = np.linalg.cholesky(bases.metric.toarray()).T
    turned = np.kron(np.eye(3), root)
    wanted = bases.shapes.reshape(bases.n_shapes, -1).T
    return turned @ columns(bases, state), turned @ wanted


def test_the_metric_is_that_of_the_laplacian(bases):
    rows = np.random.default_rng(0).normal(size=(4, len(bases.moving)))
    pairs = np.argwhere(np.triu(bases.metric.toarray(), 1) != 0)
    assert len(pairs)
    grid = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1).reshape(-1, 4)
    rough = laplacian(laplacian_pairs(quads.astype(np.int32)), SIDE * SIDE) @ rows.T
    expected = (rows**2).sum() + 1.5 * (rough**2).sum()
    assert_allclose(np.einsum("ij,jk,ik->", rows, bases.metric.toarray(), rows), expected, rtol=1e-6)


def test_all_numbers_are_the_least_squares(bases):
    state = begun(bases)
    found = solve_transforms(bases, state, None, carried(bases, state))
    left, right = whitened(bases, state)
    best = np.linalg.lstsq(left, right, rcond=None)[0].T
    assert_allclose(found.loss, loss_of(bases, replace(state, numbers=best)), rtol=1e-5)
    assert_allclose(found.loss, loss_of(bases, found), rtol=1e-4)


def test_kept_numbers_are_the_least_squares_among_them(bases):
    state = begun(bases)
    found = solve_transforms(bases, state, 40, carried(bases, state))
    assert np.count_nonzero(found.numbers) <= 40
    left, right = whitened(bases, state)
    for shape in range(SHAPES):
        kept = found.kept[found.kept_start[shape] : found.kept_start[shape + 1]]
        best = np.linalg.lstsq(left[:, kept], right[:, shape], rcond=None)[0]
        assert_allclose(
            found.numbers[shape, kept], best, rtol=1e-3, atol=1e-4 * np.abs(best).max(initial=1.0)
        )


def test_the_kept_numbers_are_better_than_the_largest(bases):
    """The published choice, the largest numbers of the dense solution, is what this one replaces."""
    state = begun(bases)
    found = solve_transforms(bases, state, 40, carried(bases, state))
    dense = solve_transforms(bases, state, None, carried(bases, state)).numbers
    largest = np.sort(np.argsort(-np.abs(dense), axis=None)[:40])
    counts = np.bincount(largest // dense.shape[1], minlength=SHAPES)
    start = np.concatenate([[0], np.cumsum(counts)])
    published = replace(state, kept_start=start, kept=largest % dense.shape[1])
    published = solve_transforms(bases, published, 40, carried(bases, state), choose=False)
    assert found.loss < published.loss


def test_weights_without_a_limit_are_optimal(bases):
    """First-order conditions of the simplex, vertex by vertex, after passes enough to settle."""
    state = begun(bases, influences=BONES)
    state = solve_transforms(bases, state, None, carried(bases, state))
    for turn in range(400):
        solve_weights(bases, state, BONES, BONES, carried(bases, state)[1], forwards=turn % 2 == 0)
    weights = state.dense()
    assert_allclose(weights.sum(axis=1), 1.0, atol=1e-9)
    assert weights.min() >= 0.0
    pulled = (missed(bases, state) @ bases.metric.toarray()).T @ transforms_of(state.numbers)
    slope = np.einsum("njd,nd->nj", pulled.reshape(len(weights), BONES, 4), bases.position)
    level = (slope * weights).sum(axis=1, keepdims=True)
    scale = np.abs(slope).max()
    assert (slope - level).min() > -1e-3 * scale
    assert np.abs((slope - level)[weights > 1e-6]).max() < 1e-3 * scale


def test_no_step_raises_the_loss_and_limits_hold(bases):
    state = begun(bases)
    state = solve_transforms(bases, state, 60, carried(bases, state))
    last = loss_of(bases, state)
    for turn in range(8):
        solve_weights(bases, state, 3, 2, carried(bases, state)[1], forwards=turn % 2 == 0)
        after_weights = loss_of(bases, state)
        state = solve_transforms(bases, state, 60, carried(bases, state))
        assert after_weights <= last * (1 + 1e-5)
        assert state.loss <= after_weights * (1 + 1e-4)
        assert (state.dense() > 0).sum(axis=1).max() <= 3
        assert np.count_nonzero(state.numbers) <= 60
        last = loss_of(bases, state)


def test_a_narrower_limit_drops_the_least_of_each_vertex(bases):
    state = begun(bases, influences=BONES)
    solve_weights(bases, state, 2, 0, carried(bases, state)[1], forwards=True)
    assert (state.dense() > 0).sum(axis=1).max() <= 2
    assert_allclose(state.dense().sum(axis=1), 1.0, atol=1e-9)


def test_what_counts_more_is_weighed_exactly(bases):
    state = begun(bases)
    state = solve_transforms(bases, state, 60, carried(bases, state))
    rng = np.random.default_rng(1)
    keys = rng.choice(SHAPES * len(bases.moving), 20, replace=False)
    worst = Worst(keys // len(bases.moving), keys % len(bases.moving), rng.uniform(1, 50, 20))
    heavier = solve_transforms(bases, state, None, carried(bases, state), worst=worst)
    kept = np.zeros_like(state.numbers, bool)
    kept[np.repeat(np.arange(SHAPES), np.diff(state.kept_start)), state.kept] = True
    assert not heavier.numbers[~kept].any()
    least = loss_of(bases, heavier, worst)
    assert least < loss_of(bases, state, worst)
    for _ in range(20):
        step = 1e-3 * rng.normal(size=kept.shape) * kept
        assert loss_of(bases, replace(heavier, numbers=heavier.numbers + step), worst) > least
    before = loss_of(bases, heavier, worst)
    solve_weights(bases, heavier, 3, 2, carried(bases, heavier)[1], forwards=True, worst=worst)
    assert loss_of(bases, heavier, worst) < before


def test_what_is_missed_is_told_as_it_is(bases):
    state = begun(bases)
    distance = np.sqrt((missed(bases, state).reshape(SHAPES, 3, -1) ** 2).sum(axis=1))
    told = missed_by(bases, state, 0.5 * distance.max(), Worst())
    assert_allclose(told.largest, distance.max(), rtol=1e-4)
    assert_allclose(told.square, (distance**2).sum(), rtol=1e-4)
    assert len(told.worst.weight)
    assert distance[told.worst.shape, told.worst.vertex].min() > 0.499 * distance.max()


def test_what_rests_is_left_out_exactly():
    """The loss over the moving vertices is that over all."""
    rng = np.random.default_rng(2)
    rest = rng.normal(size=(30, 3))
    deltas = rng.normal(size=(6, 30)).astype(np.float32)
    deltas[:, 10:] = 0.0
    pairs = np.stack([np.arange(29), np.arange(1, 30)], axis=1).astype(np.int32)
    problem = Problem(rest - rest.mean(axis=0), deltas, pairs)
    some, every = bases_of(problem, 2.0), bases_of(problem, 2.0, leave_out_still=False)
    assert len(some.moving) == 10
    assert_allclose(some.energy * some.scale**2, every.energy * every.scale**2, rtol=1e-5)
