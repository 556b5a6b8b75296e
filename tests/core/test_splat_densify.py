# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Gaussians are taken away and which become two, and that a picture hardly changes by it."""

from __future__ import annotations

import numpy as np
import pytest

from core.splat.densify import FAINT, Pulls, choose, halves, lasts

pytest.importorskip("numba")

from core.splat.gaussians import Gaussians
from core.splat.raster import render
from tests.core.splat_train_samples import patch_trainer, view_from

Array = np.ndarray


def pulls_of(mean: Array, seen: Array) -> Pulls:
    """As after one step in which the Gaussians `seen` (n,) bool were pulled by `mean` (n,)."""
    pulls = Pulls(len(mean))
    pulls.add(np.stack([np.where(seen, mean, 0.0), np.zeros(len(mean))], 1), seen)
    return pulls


def crowd(seed: int = 0, count: int = 400, triangles: int = 90) -> tuple[Array, Array, Array, Array]:
    """Bindings, opacities, pulls and what was seen; a few triangles hold only faint ones nobody saw."""
    rng = np.random.default_rng(seed)
    binding = np.sort(np.r_[np.arange(triangles), rng.integers(0, triangles, count - triangles)])
    opacity, pull, seen = rng.uniform(0, 0.2, count), rng.exponential(1.0, count), rng.random(count) < 0.8
    hidden = binding < 5
    opacity[hidden], seen[hidden] = rng.uniform(0, FAINT, hidden.sum()), False
    return binding, opacity, pull, seen


def test_pulls_are_means_over_the_steps_that_saw_a_gaussian():
    pulls = Pulls(3)
    pulls.add(np.array([[3.0, 4.0], [0, 0], [0, 0]]), np.array([True, True, False]))
    pulls.add(np.array([[0.0, 1.0], [0, 0], [0, 0]]), np.array([True, False, False]))
    assert pulls.mean.tolist() == [3.0, 0.0, 0.0]
    assert pulls.unseen.tolist() == [False, False, True]


@pytest.mark.parametrize("budget", [100, 380, 1000])
def test_no_triangle_is_emptied_and_the_budget_is_kept(budget):
    binding, opacity, pull, seen = crowd()
    change = choose(pulls_of(pull, seen), opacity, binding, budget)
    assert np.array_equal(np.unique(binding[change.kept]), np.arange(90))
    assert np.all(np.diff(change.kept) > 0) and np.isin(change.parents, change.kept).all()
    assert len(change.parents) == 0 or len(change.kept) + len(change.parents) <= budget
    useful = (opacity >= FAINT) & seen
    barren = ~np.isin(binding, binding[useful])
    assert barren.any()
    assert np.array_equal(change.kept, np.flatnonzero(useful | (barren & lasts(opacity, binding))))


def test_the_most_pulled_become_two_and_none_that_nobody_saw():
    binding, opacity, pull, seen = crowd()
    change = choose(pulls_of(pull, seen), opacity, binding, 10_000, share=0.1)
    assert len(change.parents) == int(0.1 * len(change.kept)) and seen[change.parents].all()
    left = np.setdiff1d(change.kept[seen[change.kept]], change.parents)
    assert pull[change.parents].min() >= pull[left].max()
    assert not len(choose(pulls_of(0 * pull, seen), opacity, binding, 10_000).parents)


def test_the_last_of_a_triangle_is_its_most_opaque():
    binding, opacity, *_ = crowd()
    last = lasts(opacity, binding)
    assert last.sum() == 90
    for triangle in np.unique(binding):
        own = np.flatnonzero(binding == triangle)
        assert last[own[np.argmax(opacity[own])]]


def test_a_split_hardly_changes_the_picture():
    """Gaussians that are thin, long and turned: both halves together draw about what the one did."""
    rng = np.random.default_rng(3)
    count = 60
    means = rng.uniform(-0.07, 0.07, (count, 3)) * [1, 1, 0.2]
    scales = np.log(0.008 * np.exp(rng.normal(0, 0.5, (count, 3))))
    turns, logits = rng.normal(size=(count, 4)), rng.normal(-0.5, 0.5, count)
    sh = rng.normal(0, 0.6, (count, 1, 3))
    before = Gaussians(means, scales, turns, logits, sh)
    (a, small), (b, same) = halves(means, scales, turns, 1)
    assert np.array_equal(small, same) and np.allclose((a + b) / 2, means, atol=1e-12)
    after = Gaussians(
        np.r_[a, b], np.r_[small, same], np.r_[turns, turns], np.r_[logits, logits], np.r_[sh, sh]
    )
    away = np.abs(a - means).max(axis=1)
    assert np.all(away < 1.2 * np.exp(scales.max(axis=1))) and np.all(away > 0)
    view = view_from(np.array([0.0, 0.0, 0.6]), 96)
    grey = (0.5, 0.5, 0.5)
    one, two, none = (render(gaussians, view, grey) for gaussians in (before, after, Gaussians.empty()))
    shown = np.abs(one.image - none.image).mean()
    assert np.abs(two.image - one.image).mean() < 0.45 * shown
    assert abs(two.alpha.mean() / one.alpha.mean() - 1) < 0.3


def test_a_run_that_densifies_stays_sorted_and_whole():
    trainer = patch_trainer(iterations=60)
    full = set(trainer.gaussians.binding.tolist())
    counts = set()
    for _ in range(60):
        before = len(trainer.gaussians)
        trainer.step()
        g = trainer.gaussians
        counts.add(len(g))
        assert len(g) <= trainer.settings.gaussians
        if len(g) != before:
            assert np.all(np.diff(g.binding) >= 0) and set(g.binding.tolist()) == full
            for name, array in trainer._optimiser.arrays.items():
                assert len(array) == len(g) and np.shares_memory(getattr(g, name), array)
    assert len(counts) > 2 and max(counts) > 180
