# SPDX-License-Identifier: GPL-3.0-or-later
"""How detectors follow expressions: what pictures say of it, the file, what a fit makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_support import LENS, exact_solver, face_of, head, random_pose, seen
from test_calibration import random_embedding

from core.arkit import ARKIT_NAMES, INDEX, MIRROR
from core.errors import ModelError
from core.fit.calibration.embed import Places
from core.fit.calibration.observe import Observations
from core.fit.calibration.regions import mirror
from core.fit.calibration.response import MIXTURES, gains, mixture, response, sittings, solved
from core.fit.calibration.views import turned
from core.fit.frame import Expected, FaceState, FrameSolver
from core.fit.priors import expression_prior
from core.fit.slices import FACE, FOLLOWED, INNER_LIPS, FaceRows
from core.head.embedding import FARTHEST, LandmarkEmbedding


def mirrored(response: np.ndarray) -> np.ndarray:
    """What a response (52, 468, 3) is for the face in the mirror."""
    return response[list(MIRROR)][:, mirror()[:FACE]] * [-1.0, 1.0, 1.0]


def symmetric(rng: np.random.Generator, size: float = 0.002) -> np.ndarray:
    made = size * rng.normal(size=(52, FACE, 3))
    return 0.5 * (made + mirrored(made))


def watched(
    rng, truth, count: int = 40, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What `solved` takes: sittings with mixtures, each with its own steady offset."""
    model, _ = head()
    sitting, weights, turns, off = [], [], [], []
    for one in range(count):
        turn = turned(*rng.uniform(-0.4, 0.4, 2))
        steady = 0.01 * rng.normal(size=(FACE, 2))
        for k in range(1 + MIXTURES):
            acted = mixture(model, rng) if k else {}
            row = np.array([acted.get(name, 0.0) for name in ARKIT_NAMES])
            moved = np.einsum("k,kld,ad->la", row, truth, turn[:2])
            sitting.append(one)
            weights.append(row)
            turns.append(turn)
            off.append(moved + steady + noise * rng.normal(size=(FACE, 2)))
    return np.array(sitting), np.array(weights), np.array(turns), np.array(off)


# ---- what pictures say


def test_a_response_comes_back_from_what_it_makes_of_pictures():
    rng = np.random.default_rng(0)
    face, truth = face_of(), symmetric(rng)
    found = solved(*watched(rng, truth, noise=1e-4), face.expression)
    acted = watched(rng, truth)[1].any(axis=0)
    assert np.count_nonzero(acted) == 43
    assert not found[~acted].any()
    assert np.sqrt(np.mean((found - truth)[acted] ** 2)) < 0.2 * np.sqrt(np.mean(truth[acted] ** 2))


def test_it_is_the_same_on_both_sides_of_the_face():
    rng = np.random.default_rng(1)
    data = watched(rng, symmetric(rng), count=6, noise=1e-3)
    found = solved(*data, face_of().expression)
    assert np.abs(found).max() > 1e-3
    assert np.allclose(found, mirrored(found), atol=1e-12)


def test_noise_alone_is_hardly_believed():
    rng = np.random.default_rng(2)
    data = watched(rng, np.zeros((52, FACE, 3)), count=12, noise=1e-3)
    found = solved(*data, face_of().expression)
    assert np.sqrt(np.mean(found**2)) < 4e-4


def test_a_detector_that_goes_half_way_has_half_the_gain():
    rng = np.random.default_rng(3)
    face = face_of()
    found = solved(*watched(rng, -0.5 * face.expression, noise=2e-4), face.expression)
    told = gains(found, face.expression)
    for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkRight", "browInnerUp"):
        assert told[name] == pytest.approx(0.5, abs=0.1), name


def test_pictures_without_a_face_are_left_out():
    """Two detectors, one picture in ten without a face for one of them."""
    rng = np.random.default_rng(4)
    model, _ = head()
    face, truth = face_of(), symmetric(rng)
    acted = sittings(model, seed=5, count=16)
    weights = np.array([[one.expression.get(name, 0.0) for name in ARKIT_NAMES] for one in acted])
    turns = np.array([turned(*np.radians([one.yaw, one.pitch, one.roll])) for one in acted])
    scale = np.array([one.scale for one in acted])
    places = Places(np.tile(np.arange(478)[:, None], (1, 3)), np.full((478, 3), 1 / 3))
    there = rng.uniform(100, 400, (len(acted), 478, 2)).astype(np.float32)
    moved = np.einsum("nk,kld,nad->nla", weights, truth, turns[:, :2]) * [1, -1] * scale[:, None, None]
    marks = np.repeat(there[:, None], 2, axis=1)
    marks[:, :, :FACE] += moved[:, None]
    hits = np.zeros((len(acted), 2, 478), np.int32)
    lost = rng.random(len(acted)) < 0.1
    marks[lost, 1], hits[lost, 1] = np.nan, -1
    empty = np.zeros(0)
    seen_ = Observations(marks, there, empty, scale, hits, empty, empty, empty)
    found = response(acted, seen_, places, face.expression)
    assert lost.any() and found.dtype == np.float16 and np.isfinite(found).all()
    shown = weights.any(axis=0)
    far = (found - truth)[shown]
    assert np.sqrt(np.mean(far**2)) < 0.6 * np.sqrt(np.mean(truth[shown] ** 2))


# ---- who sits


def test_every_sitting_begins_calm_and_keeps_its_person_light_and_view():
    model, _ = head()
    made = sittings(model, seed=7, count=5)
    assert len(made) == 5 * (1 + MIXTURES)
    for start in range(0, len(made), 1 + MIXTURES):
        calm, *mixed = made[start : start + 1 + MIXTURES]
        assert not calm.expression and all(one.expression for one in mixed)
        for one in mixed:
            assert replace(one, expression={}) == calm
    assert made == sittings(model, seed=7, count=5)


def test_mixtures_show_every_expression_within_limits_and_no_lips_that_close_over_nothing():
    model, _ = head()
    rng = np.random.default_rng(8)
    made = [mixture(model, rng) for _ in range(300)]
    shown = set().union(*made)
    assert shown == {name for name in ARKIT_NAMES if not name.startswith(("eyeLook", "tongue"))}
    for one in made:
        assert all(0.0 <= value <= 1.0 for value in one.values())
        assert one.get("jawOpen", 0.0) >= 0.59 * one.get("mouthClose", 0.0)
        for left, right in (("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")):
            assert not (left in one and right in one)


# ---- the file


def test_a_response_is_kept_and_may_be_missing(tmp_path):
    plain = random_embedding()
    made = replace(plain, response=0.01 * np.random.default_rng(9).normal(size=(52, FACE, 3)))
    for one, name in ((plain, "a.npz"), (made, "b.npz")):
        one.save(tmp_path / name)
    assert LandmarkEmbedding.load(tmp_path / "a.npz").response is None
    again = LandmarkEmbedding.load(tmp_path / "b.npz").response
    assert again is not None and made.response is not None
    assert again.dtype == np.float16 and np.array_equal(again, made.response)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((51, FACE, 3), np.float16),
        np.full((52, FACE, 3), np.nan, np.float16),
        np.full((52, FACE, 3), 2 * FARTHEST),
        np.full((52, FACE, 3), "x"),
        np.full((52, FACE, 3), None),
    ],
)
def test_a_damaged_response_is_one_error(tmp_path, bad):
    random_embedding().save(tmp_path / "a.npz")
    arrays = dict(np.load(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", **arrays, response=bad)
    with pytest.raises(ModelError, match=r"damaged|read"):
        LandmarkEmbedding.load(tmp_path / "b.npz")


# ---- what a fit makes of it


def test_a_person_is_followed_as_far_as_was_measured():
    model, embedding = head()
    rest = model.rest(model.identity_coefficients())
    surface = FaceRows.of(model, rest, embedding)
    plain = FaceRows.seen(model, rest, replace(embedding, response=None))
    assert np.array_equal(plain.expression, surface.expression)
    response = symmetric(np.random.default_rng(10)).astype(np.float16)
    followed = FaceRows.seen(model, rest, replace(embedding, response=response))
    beyond, lips = followed.expression - surface.expression, np.array(INNER_LIPS)
    free = np.setdiff1d(np.arange(FACE), lips)
    assert np.allclose(beyond[:, free], FOLLOWED * response[:, free].astype(float))
    assert np.allclose(beyond[:, lips[:, 0]], beyond[:, lips[:, 1]])
    assert np.allclose(beyond[:, lips].mean(axis=2), FOLLOWED * response[:, lips].astype(float).mean(axis=2))
    assert np.array_equal(followed.points, surface.points)


def test_weights_come_out_in_full_from_a_detector_that_goes_half_way():
    model, embedding = head()
    rest = model.rest(model.identity_coefficients())
    surface = FaceRows.of(model, rest, embedding)
    lazy = replace(embedding, response=(-0.5 / FOLLOWED * surface.expression).astype(np.float16))
    rng = np.random.default_rng(11)
    weights = np.zeros(52)
    weights[[INDEX["jawOpen"], INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 0.8
    half = replace(surface, expression=0.5 * surface.expression)
    truth = FaceState(random_pose(rng), weights)
    marks = seen(half, truth)
    prior = expression_prior(surface.names)
    expected = Expected(prior.precision, -prior.rarity)
    found = {}
    for name, rows in (("surface", surface), ("seen", FaceRows.seen(model, rest, lazy))):
        solver = exact_solver(rows)
        found[name] = solver.solve(marks, LENS, solver.start(marks, LENS), expected, iterations=10).weights
    jaw = INDEX["jawOpen"]
    assert found["seen"][jaw] == pytest.approx(0.8, abs=0.08)
    assert found["surface"][jaw] < 0.55


def test_rare_expressions_stay_away_from_noise():
    face, rng = face_of(), np.random.default_rng(12)
    solver = FrameSolver.of(face)
    prior = solver.prior
    marks = seen(face, FaceState(random_pose(rng), np.zeros(52)))
    marks = marks + 0.8 * rng.normal(size=marks.shape)
    start = solver.start(marks, LENS)
    usual, rare = (
        solver.solve(marks, LENS, start, Expected(prior.precision, pull), iterations=8).weights
        for pull in (np.zeros(52), -prior.rarity)
    )
    assert rare.sum() < 0.6 * usual.sum()
    assert not prior.rarity[prior.looks].any()


# ---- what ships


def test_the_shipped_response_is_that_of_detectors_that_lag():
    model, embedding = head()
    face = FaceRows.of(model, model.rest(model.identity_coefficients()), embedding)
    assert embedding.response is not None
    told = gains(embedding.response.astype(float), face.expression)
    assert 0.6 < told["jawOpen"] < 1.0 and 0.6 < told["eyeBlinkLeft"] < 1.05
    assert told["cheekSquintLeft"] < 0.4
    assert np.allclose(embedding.response, mirrored(embedding.response), atol=1e-4)
