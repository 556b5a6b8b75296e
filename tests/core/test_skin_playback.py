# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses of a compressed face: both players against plain loops, and the published results' errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skin_models import SHAPES, compskin, small_skin

from core.skin.compressed import CompressedSkin
from core.skin.model_data import BlendshapeModelData
from core.skin.playback import Player, bone_matrices, evaluate


def plainly(skin: CompressedSkin, coefficients: np.ndarray) -> np.ndarray:
    """(N, 3) by the definition: every vertex, bone and shape in a loop."""
    out = np.zeros((skin.n_vertices, 3))
    for i, vertex in enumerate(skin.rest.astype(float)):
        for j in range(skin.n_bones):
            motion = np.eye(3, 4)
            for k, c in enumerate(coefficients):
                rx, ry, rz, tx, ty, tz = (float(x) for x in skin.transforms[k, j])
                motion += c * np.array([[0, -rz, ry, tx], [rz, 0, -rx, ty], [-ry, rx, 0, tz]])
            out[i] += skin.weights[i, j] * (motion @ [*vertex, 1.0])
    return out + skin.centre


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 1.0])
def test_both_players_equal_the_plain_loops(share):
    skin = small_skin(share=share)
    players = [Player(skin), Player(skin, sparse=True)]
    for coefficients in np.random.default_rng(5).normal(size=(4, SHAPES)):
        expected = plainly(skin, coefficients)
        for player in players:
            frame = player.frame(coefficients)
            assert frame.dtype == np.float32 and frame.shape == expected.shape
            assert np.abs(frame - expected).max() < 5e-6


def test_frames_at_once_equal_frames_one_by_one():
    skin = small_skin()
    coefficients = np.random.default_rng(6).random((5, SHAPES))
    frames = evaluate(skin, coefficients)
    assert all(np.array_equal(f, Player(skin).frame(c)) for f, c in zip(frames, coefficients, strict=True))
    assert evaluate(skin, np.zeros((0, SHAPES))).shape == (0, 20, 3)


def test_bone_matrices_skin_the_rest_to_the_same_frames():
    skin = small_skin()
    coefficients = np.random.default_rng(7).random((3, SHAPES))
    motions = bone_matrices(skin, coefficients)
    assert motions.shape == (3, 7, 3, 4) and np.array_equal(motions[0, 1], np.eye(3, 4))
    points = np.concatenate([skin.rest, np.ones((20, 1))], axis=1)
    moved = np.einsum("nj,tjcd,nd->tnc", skin.weights.astype(float), motions, points) + skin.centre
    assert np.abs(moved - evaluate(skin, coefficients)).max() < 5e-6


def test_nothing_moves_at_rest_and_far_away_nothing_shakes():
    skin = replace(small_skin(), centre=np.array([1e4, -2e4, 3.0]))
    still = Player(skin, sparse=True).frame(np.zeros(SHAPES))
    assert np.array_equal(still, (skin.rest + skin.centre).astype(np.float32))


def test_a_player_gives_the_same_array_again():
    skin = small_skin()
    player = Player(skin, sparse=True)
    first = player.frame(np.ones(SHAPES))
    kept = first.copy()
    assert player.frame(np.zeros(SHAPES)) is first
    assert not np.array_equal(first, kept)
    assert np.array_equal(player.frame(np.ones(SHAPES)), kept)


def test_one_bone_one_shape_one_vertex():
    tiny = CompressedSkin(
        rest=np.zeros((1, 3), np.float32),
        centre=np.array([1.0, 2.0, 3.0]),
        faces=np.zeros((0, 3), np.int32),
        weights=np.ones((1, 1), np.float32),
        transforms=np.array([[[0, 0, 0, 0.5, 0, -1]]], np.float32),
    )
    for sparse in (False, True):
        assert Player(tiny, sparse).frame(np.array([2.0])).tolist() == [[2.0, 2.0, 1.0]]


@pytest.mark.parametrize("count", [0, SHAPES - 1, SHAPES + 1])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_wrong_number_of_coefficients_is_no_frame(count, sparse):
    with pytest.raises(ValueError, match="coefficients"):
        Player(small_skin(), sparse).frame(np.zeros(count))


@pytest.mark.parametrize(
    ("model", "result", "mae", "mxe", "rmse"),
    [
        ("aura_avg", "aura_avg_fastref_result", "0.00195", "0.1457", "0.00480"),
        ("synthface", "synthface_ref_result", "0.00119", "0.404", "0.00717"),
    ],
)
def test_published_results_have_the_errors_that_were_measured(model, result, mae, mxe, rmse):
    """To the digits of skinning.md, section 4."""
    source = BlendshapeModelData.from_npz(compskin(f"{model}.npz"))
    skin = CompressedSkin.load(compskin(f"{result}.npz"))
    assert np.abs(skin.rest - (source.rest_verts - source.rest_verts.mean(axis=0))).max() < 1e-4
    player, largest, total, squares = Player(skin), 0.0, 0.0, 0.0
    for k, delta in enumerate(source.deltas):
        off = np.abs(player.frame(np.eye(skin.n_shapes)[k]) - skin.rest - delta)
        largest = max(largest, float(off.max()))
        total += float(off.mean(dtype=np.float64))
        squares += float(np.square(off).mean(dtype=np.float64))
    digits = len(mxe) - 2
    assert f"{total / skin.n_shapes:.5f}" == mae and f"{largest:.{digits}f}" == mxe
    assert f"{np.sqrt(squares / skin.n_shapes):.5f}" == rmse
