# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of face bones on vertices that other bones hold too."""

from __future__ import annotations

import numpy as np

from core.skin.carried import carried_weights, hang, moving_bones, scaled_weights
from core.skin.compressed import CompressedSkin
from core.skin.playback import evaluate


def face(share: np.ndarray) -> tuple[CompressedSkin, np.ndarray]:
    """A skin of five bones, the last one still, and shapes that weights within the shares reproduce."""
    rng = np.random.default_rng(4)
    rest = rng.normal(0.0, 5.0, (80, 3))
    transforms = rng.normal(0.0, 0.3, (12, 5, 6)).astype(np.float32)
    transforms[:, 4] = 0.0
    weights = rng.dirichlet(np.ones(5), 80)
    there = weights[:, :4] * share[:, None]
    moved = np.cross(transforms[:, None, :4, :3], rest[None, :, None]) + transforms[:, None, :4, 3:]
    deltas = np.einsum("nb,snbi->sni", there, moved)
    centred = (rest - rest.mean(axis=0)).astype(np.float32)
    # The same motions about the mean instead of the origin.
    transforms[..., 3:] += np.cross(transforms[..., :3], rest.mean(axis=0))
    skin = CompressedSkin(
        centred, rest.mean(axis=0), np.zeros((0, 3), np.int32), weights.astype(np.float32), transforms
    )
    return skin, deltas.astype(np.float32)


def test_shapes_come_out_within_the_share() -> None:
    share = np.linspace(0.2, 1.0, 80)
    skin, deltas = face(share)
    found = carried_weights(skin, np.arange(4), share, deltas)
    assert found.min() >= 0.0
    assert np.all(found.sum(axis=1) <= share + 1e-9)
    short = share < 0.99
    np.testing.assert_allclose(found[short], (skin.weights[:, :4] * share[:, None])[short], atol=0.01)


def test_whole_vertices_keep_their_weights() -> None:
    skin, deltas = face(np.ones(80))
    np.testing.assert_array_equal(
        carried_weights(skin, np.arange(4), np.ones(80), deltas), skin.weights[:, :4]
    )


def test_scaling_uses_the_still_part_first() -> None:
    weights = np.array([[0.3, 0.2], [0.8, 0.2], [0.0, 0.0]])
    scaled = scaled_weights(weights, np.array([0.6, 0.5, 0.5]))
    np.testing.assert_allclose(scaled, [[0.3, 0.2], [0.4, 0.1], [0.0, 0.0]])
    np.testing.assert_allclose(scaled_weights(weights, np.zeros(3)), 0.0)


def test_nothing_to_solve() -> None:
    """Vertices without shapes, without share, and a skin in which nothing moves."""
    skin, deltas = face(np.full(80, 0.5))
    still = CompressedSkin(skin.rest, skin.centre, skin.faces, skin.weights, 0 * skin.transforms)
    found = carried_weights(still, np.arange(4), np.full(80, 0.5), deltas)
    assert np.all(np.isfinite(found)) and np.all(found.sum(axis=1) <= 0.5 + 1e-9)
    assert not carried_weights(skin, np.arange(4), np.zeros(80), deltas).any()


def test_twins_hold_what_the_neck_carries() -> None:
    """Half of the vertices are mostly the neck's: with twins every carrier makes its own share of the shapes,
    so that they are right in any pose of the neck.
    """
    skin, deltas = face(np.ones(80))
    neck = np.where(np.arange(80) < 40, 0.8, 0.0)
    hung, carriers = hang(skin, np.stack([1.0 - neck, neck], axis=1), deltas)
    assert hung.n_bones == len(carriers) > skin.n_bones and set(carriers.tolist()) == {0, 1}
    np.testing.assert_array_equal(hung.transforms[:, : skin.n_bones], skin.transforms)
    np.testing.assert_allclose(hung.weights.sum(axis=1), 1.0, rtol=1e-6)
    assert hung.weights[40:, carriers == 1].max() == 0.0
    whole = evaluate(hung, np.eye(12)) - hung.rest - hung.centre
    np.testing.assert_allclose(whole, deltas, atol=0.02 * np.abs(deltas).max())
    off = CompressedSkin(hung.rest, hung.centre, hung.faces, hung.weights, hung.transforms.copy())
    off.transforms[:, carriers == 0] = 0.0
    share = evaluate(off, np.eye(12)) - hung.rest - hung.centre
    np.testing.assert_allclose(share, neck[:, None] * deltas, atol=0.02 * np.abs(deltas).max())


def test_a_head_alone_keeps_its_skin() -> None:
    skin, deltas = face(np.ones(80))
    hung, carriers = hang(skin, np.ones((80, 1)), deltas)
    np.testing.assert_allclose(hung.weights, skin.weights, atol=1e-6)
    np.testing.assert_array_equal(hung.transforms, skin.transforms)
    assert not carriers.any() and moving_bones(skin).tolist() == [0, 1, 2, 3]


def test_a_still_bone_takes_what_is_left() -> None:
    """Also where the skin has none."""
    skin, _ = face(np.ones(80))
    whole = skin.weights[:, :4] / skin.weights[:, :4].sum(axis=1, keepdims=True)
    bare = CompressedSkin(skin.rest, skin.centre, skin.faces, whole, skin.transforms[:, :4])
    hung, carriers = hang(bare, np.full((80, 1), 0.6), None)
    assert hung.n_bones == len(carriers) == 5 and not hung.transforms[:, 4].any()
    np.testing.assert_allclose(hung.weights[:, 4], 0.4, atol=1e-6)
