# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonics that are turned, and bound Gaussians as plain ones, which must look the same."""

from __future__ import annotations

import numpy as np
import pytest

from core import rotation
from core.splat.harmonics import harmonics
from core.splat.playback import place
from core.splat.turn_sh import turned
from core.splat.world import world_gaussians
from tests.core.splat_bound_samples import EYE, avatar_of, posed_vertices

Array = np.ndarray


def turns_of(count: int) -> Array:
    """(n, 3, 3): none, half turns, and any."""
    vectors = np.random.default_rng(2).normal(size=(count, 3)) * 1.5
    vectors[0], vectors[1], vectors[2] = 0.0, [0.0, np.pi, 0.0], [0.0, 0.0, np.pi / 2]
    return rotation.to_matrix(rotation.from_rotation_vector(vectors))


@pytest.mark.parametrize("degree", range(4))
def test_turned_harmonics_are_the_old_ones_seen_from_turned_directions(degree: int) -> None:
    rng = np.random.default_rng(degree)
    turns = turns_of(40)
    sh = rng.normal(size=(40, (degree + 1) ** 2, 3))
    directions = rng.normal(size=(40, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    back = np.einsum("nji,nj->ni", turns, directions)
    wanted = np.einsum("nk,nkc->nc", harmonics(back, degree), sh)
    found = np.einsum("nk,nkc->nc", harmonics(directions, degree), turned(sh, turns))
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_turning_back_gives_what_was_there() -> None:
    sh, turns = np.random.default_rng(0).normal(size=(40, 16, 3)), turns_of(40)
    np.testing.assert_allclose(turned(turned(sh, turns), turns.swapaxes(1, 2)), sh, atol=3e-6)
    np.testing.assert_allclose(turned(sh, np.broadcast_to(np.eye(3), (40, 3, 3))), sh, atol=1e-6)


def test_plain_gaussians_look_like_the_bound_ones_from_anywhere() -> None:
    avatar = avatar_of(degree=3)
    vertices, latent = posed_vertices(avatar.surface), np.array([0.5, -0.4, 1.0], np.float32)
    world = world_gaussians(avatar, vertices, latent)
    for eye in (EYE, -EYE, np.array([0.7, 0.1, -0.3])):
        bound, plain = place(avatar, vertices, latent, eye), world.activated()
        for name in ("means", "scales", "opacities"):
            np.testing.assert_allclose(getattr(plain, name), getattr(bound, name), rtol=2e-5, atol=1e-6)
        same = np.abs((plain.rotations * bound.rotations).sum(axis=1))  # q and -q are one rotation
        np.testing.assert_allclose(same, 1.0, atol=1e-5)
        towards = plain.means - eye
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        seen = 0.5 + np.einsum("nk,nkc->nc", harmonics(towards, 3), world.sh)
        np.testing.assert_allclose(np.maximum(seen, 0.0), bound.colours, atol=2e-5)
