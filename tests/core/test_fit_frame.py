# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame: known faces come back, within limits, and the prior speaks where landmarks do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_support import (
    LENS,
    LOOKS,
    exact_solver,
    expect_nothing,
    face_of,
    made_up_embedding,
    random_pose,
    random_weights,
    seen,
    slope,
    turn_degrees,
)
from flame_like import flame_like

from core.arkit import INDEX
from core.fit.frame import Expected, FaceState, FrameSolver
from core.fit.priors import CONTACTS, expression_prior
from core.fit.projection import project
from core.fit.slices import FaceRows

COUNT = 52


@pytest.mark.parametrize("seed", range(8))
def test_a_known_face_comes_back(seed):
    rng = np.random.default_rng(seed)
    face = face_of(seed % 3)
    truth = FaceState(random_pose(rng), random_weights(rng))
    solver, landmarks = exact_solver(face), seen(face, truth)
    found = solver.solve(
        landmarks, LENS, solver.start(landmarks, LENS), expect_nothing(precision=1e-4), iterations=12
    )
    assert np.abs(found.weights - truth.weights).max() < 0.02
    assert turn_degrees(found.pose.rotation, truth.pose.rotation) < 0.05
    assert np.abs(found.pose.translation - truth.pose.translation).max() < 5e-4


def test_the_steps_gradient_is_that_of_the_cost_it_names():
    rng = np.random.default_rng(1)
    face = face_of()
    solver = FrameSolver.of(face)
    truth = FaceState(random_pose(rng), random_weights(rng))
    landmarks = seen(face, truth) + rng.normal(size=(468, 2))
    state = FaceState(truth.pose.moved(rng.normal(size=6) * 0.01), np.clip(truth.weights + 0.1, 0.0, 1.0))
    _, right, errors = solver.normal(landmarks, LENS, state)
    trust = solver.trust(errors, landmarks, LENS, state)
    tight = solver.contact_trust(errors, landmarks, LENS, state)[:, None]

    def cost(step: np.ndarray) -> np.ndarray:
        moved = FaceState(state.pose.moved(step[:6]), state.weights + step[6:])
        off = landmarks - project(solver.points(moved.weights), moved.pose, LENS)[0]
        gaps = off[CONTACTS[:, 0]] - off[CONTACTS[:, 1]]
        return 0.5 * (np.sum((off * trust[:, None]) ** 2) + np.sum((gaps * tight) ** 2))

    expected = -slope(cost, np.zeros(6 + COUNT), 1e-6)
    assert np.abs(right - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("seed", range(4))
def test_weights_stay_within_their_limits_whatever_is_seen(seed):
    rng = np.random.default_rng(seed)
    face = face_of()
    solver = FrameSolver.of(face)
    wild = FaceState(random_pose(rng), rng.normal(size=COUNT) * 1.5)
    landmarks = seen(face, wild) + rng.normal(size=(468, 2)) * 4.0
    found = solver.solve(landmarks, LENS, solver.start(landmarks, LENS), expect_nothing(), iterations=8)
    assert np.all(found.weights >= 0.0) and np.all(found.weights <= 1.0)
    assert np.isfinite(found.pose.rotation).all() and np.isfinite(found.pose.translation).all()


def test_the_eyes_directions_are_left_to_the_gaze():
    rng = np.random.default_rng(2)
    face = face_of()
    solver, truth = exact_solver(face), FaceState(random_pose(rng), random_weights(rng))
    landmarks = seen(face, truth)
    start = solver.start(landmarks, LENS)
    start.weights[LOOKS] = rng.random(LOOKS.sum())
    found = solver.solve(landmarks, LENS, start, expect_nothing(), iterations=4)
    assert np.array_equal(found.weights[LOOKS], start.weights[LOOKS])
    assert np.array_equal(solver.prior.looks, np.flatnonzero(LOOKS))


def test_without_a_word_from_the_landmarks_the_prior_decides():
    rng = np.random.default_rng(3)
    face = face_of()
    expected = np.where(LOOKS, 0.0, rng.uniform(0.1, 0.9, COUNT))
    expected[INDEX["mouthClose"]] = 0.5 * expected[INDEX["jawOpen"]]
    sure = 1e7 * np.eye(COUNT)
    solver = FrameSolver.of(face)
    landmarks = seen(face, FaceState(random_pose(rng), random_weights(rng)))
    found = solver.solve(
        landmarks, LENS, solver.start(landmarks, LENS), Expected(sure, sure @ expected), iterations=4
    )
    assert np.abs(found.weights - expected).max() < 0.01


def test_lips_close_no_farther_than_the_jaw_is_open():
    rng = np.random.default_rng(5)
    face, weights = face_of(), np.zeros(COUNT)
    weights[INDEX["mouthClose"]] = 0.6
    solver, landmarks = FrameSolver.of(face), seen(face, FaceState(random_pose(rng), weights))
    found = solver.solve(landmarks, LENS, solver.start(landmarks, LENS), expect_nothing(), iterations=8)
    assert found.weights[INDEX["mouthClose"]] <= found.weights[INDEX["jawOpen"]] + 0.02


def test_what_no_landmark_shows_keeps_its_prior():
    rng = np.random.default_rng(4)
    face = face_of()
    solver = FrameSolver.of(face)
    landmarks = seen(face, FaceState(random_pose(rng), random_weights(rng)))
    precision, pull = solver.prior.precision, np.zeros(COUNT)
    tongue = INDEX["tongueOut"]
    pull[tongue] = 0.3 * precision[tongue, tongue]
    blind = FrameSolver.of(
        replace(face, expression=face.expression * (np.arange(COUNT) != tongue)[:, None, None])
    )
    found = blind.solve(landmarks, LENS, blind.start(landmarks, LENS), Expected(precision, pull))
    assert found.weights[tongue] == pytest.approx(0.3, abs=1e-6)


def test_a_resting_face_rests():
    rng = np.random.default_rng(5)
    face = face_of(1)
    solver = FrameSolver.of(face)
    for _ in range(5):
        truth = FaceState(random_pose(rng), np.zeros(COUNT))
        landmarks = seen(face, truth) + rng.normal(size=(468, 2)) * 0.5
        found = solver.solve(
            landmarks,
            LENS,
            solver.start(landmarks, LENS),
            Expected(solver.prior.precision, np.zeros(COUNT)),
            iterations=6,
        )
        assert found.weights.mean() < 0.03 and found.weights.max() < 0.3
        assert turn_degrees(found.pose.rotation, truth.pose.rotation) < 0.5


def test_some_landmarks_may_be_anywhere():
    rng = np.random.default_rng(6)
    face = face_of()
    solver = FrameSolver.of(face)
    expected = Expected(solver.prior.precision, np.zeros(COUNT))
    for _ in range(3):
        truth = FaceState(random_pose(rng), random_weights(rng))
        landmarks = seen(face, truth)
        clean = solver.solve(landmarks, LENS, solver.start(landmarks, LENS), expected, iterations=8)
        wrong = rng.choice(468, 24, replace=False)
        landmarks[wrong] += rng.normal(size=(24, 2)) * 40.0
        found = solver.solve(landmarks, LENS, solver.start(landmarks, LENS), expected, iterations=8)
        assert turn_degrees(found.pose.rotation, clean.pose.rotation) < 0.2
        assert np.abs(found.weights - clean.weights).mean() < 0.02


def test_mirrored_landmarks_give_the_mirrored_face():
    from core.arkit import MIRROR
    from core.fit.projection import Pose

    rng = np.random.default_rng(7)
    face = face_of()
    solver = exact_solver(face)
    truth = FaceState(random_pose(rng), random_weights(rng))
    flip = np.diag([-1.0, 1.0, 1.0])
    mirrored = replace(face, points=face.points * [-1, 1, 1], expression=face.expression * [-1, 1, 1])
    other = exact_solver(mirrored)
    landmarks = seen(face, truth)
    across = landmarks * [-1, 1] + [2 * LENS.centre[0], 0.0]
    start = FaceState(truth.pose.moved(np.full(6, 0.02)), np.zeros(COUNT))
    turned = FaceState(Pose(flip @ start.pose.rotation @ flip, flip @ start.pose.translation), start.weights)
    first = solver.solve(landmarks, LENS, start, expect_nothing(precision=1e-3))
    second = other.solve(across, LENS, turned, expect_nothing(precision=1e-3))
    assert np.allclose(first.weights, second.weights, atol=1e-7)
    assert np.allclose(first.pose.rotation, flip @ second.pose.rotation @ flip, atol=1e-9)
    assert sorted(MIRROR) == list(range(COUNT))


def test_an_earlier_frame_holds_the_next_as_long_as_it_is_near():
    rng = np.random.default_rng(8)
    face = face_of()
    solver = FrameSolver.of(face)
    pose, weights = random_pose(rng), random_weights(rng)
    expected = Expected(solver.prior.precision, np.zeros(COUNT))
    landmarks = seen(face, FaceState(pose, weights))
    alone = solver.solve(landmarks, LENS, FaceState(pose, np.zeros(COUNT)), expected, iterations=6)
    before = FaceState(pose, np.where(LOOKS, 0.0, 0.5))

    def held(gap: float) -> float:
        found = solver.solve(landmarks, LENS, before, expected, (before, gap), iterations=6)
        return float(np.linalg.norm((found.weights - alone.weights)[~LOOKS]))

    assert held(0.004) > held(0.03) > held(0.1)
    assert held(2.0) < 0.01


def test_lids_that_touch_are_held_tighter_than_where_they_are():
    face = face_of()
    solver = FrameSolver.of(face)
    rng = np.random.default_rng(9)
    expected = Expected(solver.prior.precision, np.zeros(COUNT))
    weights = np.zeros(COUNT)
    weights[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 0.9
    truth = FaceState(random_pose(rng, yaw=0.2), weights)
    # A detector that draws both lids of an eye too low by the same amount.
    lids = CONTACTS[:10].ravel()
    landmarks = seen(face, truth)
    landmarks[lids, 1] += 2.0
    found = solver.solve(landmarks, LENS, solver.start(landmarks, LENS), expected, iterations=8)
    gaps = [
        np.linalg.norm(np.diff(solver.points(w)[CONTACTS[:10]], axis=1), axis=2)
        for w in (weights, found.weights)
    ]
    assert np.abs(gaps[0] - gaps[1]).max() < 8e-4


def test_a_model_with_other_expressions_is_solved_the_same_way():
    model, _, _ = flame_like()
    embedding = made_up_embedding(model)
    face = FaceRows.of(model, model.rest(model.identity_coefficients()), embedding)
    rng = np.random.default_rng(10)
    truth = FaceState(random_pose(rng, yaw=0.3), rng.normal(size=100) * (np.arange(100) < 20))
    solver, landmarks = exact_solver(face), seen(face, truth)
    prior = expression_prior(face.names)
    assert np.array_equal(prior.precision, np.eye(100)) and not prior.looks.size
    found = solver.solve(
        landmarks, LENS, solver.start(landmarks, LENS), expect_nothing(100, 1e-4), iterations=12
    )
    off = (
        solver.points(found.weights) @ found.pose.rotation.T
        - solver.points(truth.weights) @ truth.pose.rotation.T
    )
    assert np.abs(seen(face, found) - landmarks).max() < 0.05
    assert np.abs(off[:, :2]).max() < 1e-3
