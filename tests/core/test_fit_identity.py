# SPDX-License-Identifier: GPL-3.0-or-later
"""Who it is: people whose every number is known come back from pictures of their landmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_support import (
    LENS,
    SIZE,
    face_of,
    head,
    identity_rows,
    random_person,
    random_pose,
    random_weights,
    seen,
    turn_degrees,
)

from core.fit.frame import Expected, FaceState
from core.fit.identity import IdentityFit, Picture, fit_identity
from core.fit.keyframes import choose_keyframes
from core.fit.priors import expression_prior, identity_prior
from core.fit.projection import Lens

PRIOR = expression_prior(face_of().names)
NOTHING = Expected(PRIOR.precision, np.zeros(52))


def pictures_of(values, count: int, seed: int = 0, noise: float = 0.5, lenses=(LENS,), calm: float = 0.4):
    """Pictures of a person from all sides, and what they truly show."""
    rng = np.random.default_rng(seed)
    face = replace(face_of(), points=identity_rows().points(values))
    states = []
    for _ in range(count):
        weights = random_weights(rng, calm) * (rng.random() < 0.7)
        states.append(FaceState(random_pose(rng, yaw=0.7, pitch=0.35), weights))
    pictures = [
        Picture(seen(face, state, lenses[i % len(lenses)]) + noise * rng.normal(size=(468, 2)), SIZE, NOTHING)
        for i, state in enumerate(states)
    ]
    return pictures, states


def shape_error_mm(values, fit: IdentityFit) -> float:
    """Rms distance of the landmarks after the best similarity: one camera cannot tell a face's size."""
    found, truth = identity_rows().points(fit.values), identity_rows().points(values)
    a, b = found - found.mean(axis=0), truth - truth.mean(axis=0)
    left, sizes, right = np.linalg.svd(a.T @ b)
    side = np.array([1.0, 1.0, np.linalg.det(left @ right)])
    turned = a @ (left * side @ right) * (sizes @ side / np.sum(a**2))
    return 1000 * float(np.sqrt(np.mean(np.sum((turned - b) ** 2, axis=1))))


def fitted(pictures, **options) -> IdentityFit:
    return fit_identity(identity_rows(), face_of(), pictures, **options)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_person_comes_back(seed):
    values = random_person(np.random.default_rng(seed))
    pictures, states = pictures_of(values, 10, seed)
    fit = fitted(pictures, focal=LENS.focal)
    usual = shape_error_mm(values, replace(fit, values={}))
    assert shape_error_mm(values, fit) < min(0.9, 0.5 * usual)
    turns = [turn_degrees(a.pose.rotation, b.pose.rotation) for a, b in zip(fit.states, states, strict=True)]
    assert np.mean(turns) < 1.5
    assert fit.error_px < 1.2
    assert fit.errors.shape == (10, 468, 2)


def test_a_face_whose_size_cannot_be_seen_is_of_the_usual_size():
    def size(values) -> float:
        points = identity_rows().points(values)
        return float(np.sqrt(np.mean(np.sum((points - points.mean(axis=0)) ** 2, axis=1))))

    for seed in range(3):
        values = random_person(np.random.default_rng(seed))
        pictures, _ = pictures_of(values, 6, seed)
        assert size(fitted(pictures).values) == pytest.approx(size({}), rel=0.03)


def test_the_average_person_is_the_average_person():
    pictures, _ = pictures_of({}, 6, noise=0.0, calm=0.0)
    fit = fitted(pictures, focal=LENS.focal)
    assert shape_error_mm({}, fit) < 0.3


def test_parameters_stay_within_their_limits():
    values = random_person(np.random.default_rng(5), share=4.0)
    pictures, _ = pictures_of(values, 6, 5)
    fit = fitted(pictures)
    limits = head()[0].identity_limits
    for name, value in fit.values.items():
        low, high = limits[name]
        assert low - 1e-9 <= value <= high + 1e-9, name


def test_what_somebody_told_stays():
    values = random_person(np.random.default_rng(6)) | {"gender": 0.9, "age": 0.9}
    pictures, _ = pictures_of(values, 5, 6)
    told = {"gender": 0.1, "age": 0.5, "cupsize": 0.3}
    fit = fitted(pictures, known=told)
    assert fit.values["cupsize"] == 0.3
    assert fit.values["gender"] == pytest.approx(0.1, abs=0.05)
    assert fit.values["age"] == pytest.approx(0.5, abs=0.05)


def test_what_is_told_and_true_helps():
    values = random_person(np.random.default_rng(7)) | {"gender": 1.0}
    pictures, _ = pictures_of(values, 3, 7, noise=1.5)
    plain, told = fitted(pictures), fitted(pictures, known={"gender": 1.0})
    assert shape_error_mm(values, told) < shape_error_mm(values, plain) + 0.05


def test_more_pictures_do_not_hurt():
    errors = []
    for seed in (8, 9):
        values = random_person(np.random.default_rng(seed))
        pictures, _ = pictures_of(values, 12, seed, noise=1.0)
        errors.append(
            [shape_error_mm(values, fitted(pictures[:count], focal=LENS.focal)) for count in (1, 4, 12)]
        )
    one, four, twelve = np.mean(errors, axis=0)
    assert four < one + 0.05 and twelve < four + 0.1
    assert twelve < one


def test_one_picture_is_enough_to_begin():
    values = random_person(np.random.default_rng(10))
    pictures, _ = pictures_of(values, 1, 10)
    fit = fitted(pictures)
    assert len(fit.states) == 1 and fit.error_px < 1.5
    assert shape_error_mm(values, fit) < 4.0


def test_the_lens_is_found_between_the_usual_and_the_true_one():
    values = random_person(np.random.default_rng(11), share=0.5)
    usual = 1.25 * max(SIZE)
    for focal in (600.0, 1100.0):
        pictures, _ = pictures_of(values, 12, 11, lenses=(Lens(focal, LENS.centre),), noise=0.3)
        found = fitted(pictures).lenses[0].focal
        assert abs(np.log(found / focal)) < abs(np.log(usual / focal))


def test_a_noted_lens_is_held_to_but_not_against_all_that_is_seen():
    pictures, _ = pictures_of({}, 4)
    true = fitted(pictures, focal=LENS.focal).lenses[0].focal
    wrong = fitted(pictures, focal=1.1 * LENS.focal).lenses[0].focal
    assert true == pytest.approx(LENS.focal, rel=0.01)
    assert LENS.focal < wrong < 1.1 * LENS.focal * 1.01


def test_every_photo_may_have_its_own_camera():
    values = random_person(np.random.default_rng(12), share=0.7)
    lenses = (Lens(700.0, LENS.centre), Lens(1200.0, LENS.centre))
    pictures, _ = pictures_of(values, 12, 12, lenses=lenses, noise=0.3)
    together, apart = fitted(pictures), fitted(pictures, cameras=[i % 2 for i in range(12)])
    focals = [lens.focal for lens in apart.lenses]
    assert len(set(np.round(focals, 6))) == 2 and focals[0] == focals[2]
    assert focals[0] < together.lenses[0].focal < focals[1]
    assert apart.error_px < together.error_px


def test_a_picture_of_a_wild_face_does_not_change_who_it_is():
    values = random_person(np.random.default_rng(13))
    calm, _ = pictures_of(values, 5, 13, calm=0.0)
    wild, _ = pictures_of(values, 5, 14, calm=0.9)
    assert shape_error_mm(values, fitted(calm + wild)) < shape_error_mm(values, fitted(calm)) + 0.5


def test_spread_of_a_parameter_is_known_by_its_kind():
    defaults = head()[0].identity_default
    names = ("gender", "age", "african", "chin-width-incr")
    mean, sigma = identity_prior(names, defaults, {"age": 0.2})
    assert mean[1] == 0.2 and sigma[1] < 0.05
    assert np.all(sigma[[0, 2, 3]] > 0.1)
    assert identity_prior(("identity_000",), {"identity_000": 0.0}, {})[1][0] == 1.0


# ---- keyframes


def moving_face(count: int) -> np.ndarray:
    """Landmarks of a face that is still for two thirds of a take, and then turns."""
    rng = np.random.default_rng(15)
    face = face_of()
    landmarks = []
    for frame in range(count):
        turn = np.array([0.0, max(0.0, frame / count - 2 / 3) * 2.0, 0.0, 0.0, 0.0, 0.0])
        pose = FaceState(random_pose(rng, 0, 0, 0).moved(turn), np.zeros(52))
        landmarks.append(seen(face, pose))
    return np.stack(landmarks)


def test_keyframes_are_few_sorted_and_different():
    landmarks = moving_face(90)
    chosen = choose_keyframes(landmarks, np.ones(90), 10)
    assert len(chosen) <= 10 and np.all(np.diff(chosen) > 0)
    assert np.count_nonzero(chosen < 60) >= 3 and np.count_nonzero(chosen >= 60) >= 3


def test_doubtful_frames_are_not_keyframes():
    confidence = np.where(np.arange(90) % 3 == 0, 0.1, 1.0)
    chosen = choose_keyframes(moving_face(90), confidence, 10)
    assert np.all(chosen % 3 != 0)


def test_a_short_take_is_used_whole():
    assert np.array_equal(choose_keyframes(moving_face(4), np.ones(4), 10), np.arange(4))
    assert np.array_equal(choose_keyframes(moving_face(1), np.ones(1), 10), [0])
