# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on weights costs as little as the bones allow."""

from __future__ import annotations

import numpy as np
import pytest

from core.skin.fewer_weights import fewer_weights


def scene(seed: int = 1, bones: int = 9, frames: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rest points, weights of all bones, and motions."""
    rng = np.random.default_rng(seed)
    rest = rng.normal(0, 1, (300, 3))
    weights = rng.dirichlet(np.full(bones, 0.5), 300)
    motions = np.eye(3, 4) + rng.normal(0, 0.1, (frames, bones, 3, 4))
    return rest, weights, motions


def moved(rest: np.ndarray, weights: np.ndarray, motions: np.ndarray) -> np.ndarray:
    points = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
    return np.einsum("vp,fpij,vj->fvi", weights, motions, points)


def largest(weights: np.ndarray, most: int) -> np.ndarray:
    out = weights.copy()
    np.put_along_axis(out, np.argsort(-weights, axis=1)[:, most:], 0.0, axis=1)
    return out / out.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("most", [1, 4, 8])
def test_no_vertex_is_worse_than_with_its_largest(most: int) -> None:
    rest, weights, motions = scene()
    found = fewer_weights(rest, weights, motions, most)
    assert (found >= 0.0).all() and np.count_nonzero(found, axis=1).max() <= most
    assert found.sum(axis=1) == pytest.approx(1.0)
    wanted = moved(rest, weights, motions)
    error = np.square(moved(rest, found, motions) - wanted).sum(axis=(0, 2))
    plain = np.square(moved(rest, largest(weights, most), motions) - wanted).sum(axis=(0, 2))
    assert (error <= plain * (1 + 1e-4) + 1e-12).all()
    assert error.sum() < (0.9 if most > 1 else 1.0) * plain.sum()


def test_bones_that_move_alike_stand_in_for_each_other() -> None:
    """Nine bones in three groups: three weights hold all of it, however the nine were spread."""
    rest, weights, motions = scene()
    motions = np.repeat(motions[:, :3], 3, axis=1)
    found = fewer_weights(rest, weights, motions, 3)
    assert moved(rest, found, motions) == pytest.approx(moved(rest, weights, motions), abs=1e-4)


def test_few_weights_stay_as_they_are() -> None:
    rest, weights, motions = scene()
    weights = largest(weights, 4)
    assert np.array_equal(fewer_weights(rest, weights, motions, 4), weights)


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_the_unit_does_not_matter(size: float) -> None:
    rest, weights, motions = scene()
    scaled = motions.copy()
    scaled[..., 3] *= size
    there = fewer_weights(rest * size, weights, scaled, 4)
    assert there == pytest.approx(fewer_weights(rest, weights, motions, 4), abs=1e-6)


def test_without_motion_there_are_no_surprises() -> None:
    rest, weights, _motions = scene()
    still = np.broadcast_to(np.eye(3, 4), (3, 9, 3, 4))
    found = fewer_weights(rest, weights, still, 4)
    assert np.isfinite(found).all() and found.sum(axis=1) == pytest.approx(1.0)
    assert (found >= 0.0).all() and np.count_nonzero(found, axis=1).max() <= 4
