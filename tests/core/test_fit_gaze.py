# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze: irises to angles and back, eyes that turn together, lids that hide them."""

from __future__ import annotations

import numpy as np
import pytest
from fit_support import LENS, face_of, look, random_pose, turned_to

from core.arkit import ARKIT_NAMES, INDEX
from core.fit.gaze import FARTHEST, angles, conjugate, iris_gaze, look_weights
from core.fit.projection import project
from core.fit.take import bridged
from core.performance import EYE_ANGLE
from core.series import gaze_directions

DEGREE = np.pi / 180.0


def random_gaze(rng, count: int, yaw: float = 35.0, pitch: float = 25.0) -> np.ndarray:
    return rng.uniform(-1.0, 1.0, (count, 2, 2)) * np.array([yaw, pitch]) * DEGREE


def irises_seen(face, gaze: np.ndarray, poses) -> np.ndarray:
    """(T, 2, 2) px: the middles of the irises of eyes that look along `gaze`."""
    middles = np.empty((len(poses), 2, 2))
    for frame, pose in enumerate(poses):
        points = [
            face.eyes[eye] + turned_to(face.irises[eye], gaze[frame, eye]) @ face.irises[eye]
            for eye in range(2)
        ]
        middles[frame] = project(np.stack(points), pose, LENS)[0]
    return middles


def gaze_of(face, middles, poses) -> np.ndarray:
    count = len(poses)
    return iris_gaze(
        middles,
        np.stack([pose.rotation for pose in poses]),
        np.stack([pose.translation for pose in poses]),
        np.full(count, LENS.focal),
        np.tile(LENS.centre, (count, 1)),
        face.eyes,
        face.irises,
    )


def test_any_gaze_in_any_pose_comes_back_from_its_irises():
    rng = np.random.default_rng(0)
    for seed in (None, 1, 2):
        face, gaze = face_of(seed), random_gaze(rng, 60)
        poses = [random_pose(rng, yaw=0.4, pitch=0.3) for _ in gaze]
        found = gaze_of(face, irises_seen(face, gaze, poses), poses)
        assert np.abs(found - gaze).max() < 0.01 * DEGREE


def test_left_is_the_subjects_left_and_up_is_up():
    face, front = face_of(), [random_pose(np.random.default_rng(1), 0, 0, 0)]
    straight = irises_seen(face, np.zeros((1, 2, 2)), front)
    for shift, axis, sign in (([3.0, 0.0], 0, 1), ([0.0, 3.0], 1, -1)):
        found = gaze_of(face, straight + shift, front)
        assert np.all(sign * found[..., axis] > 2 * DEGREE)
        assert np.all(np.abs(found[..., 1 - axis]) < 1 * DEGREE)


def test_an_iris_beside_its_eye_looks_as_far_as_eyes_go():
    rng = np.random.default_rng(2)
    poses = [random_pose(rng) for _ in range(20)]
    found = gaze_of(face_of(), rng.uniform(0, 640, (20, 2, 2)), poses)
    assert np.isfinite(found).all() and np.abs(found).max() <= FARTHEST


def test_angles_are_those_of_the_eye_joints():
    rng = np.random.default_rng(3)
    for yaw, pitch in rng.uniform(-0.8, 0.8, (20, 2)):
        direction = look(yaw, pitch) @ np.array([0.0, 0.0, 1.0])
        assert np.allclose(angles(direction), [yaw, pitch])


def squinting(rng, count: int, apart: tuple[float, float]) -> np.ndarray:
    """Eyes that move together, the left turned by `apart` degrees (yaw, pitch) from the right."""
    half = 0.5 * np.array(apart) * DEGREE
    return np.repeat(random_gaze(rng, count)[:, :1], 2, axis=1) + np.stack([half, -half])


def test_eyes_together_keep_a_squint_and_lose_noise():
    rng = np.random.default_rng(4)
    truth = squinting(rng, 200, (20.0, -9.0))
    noisy = truth + rng.normal(size=truth.shape) * 2.0 * DEGREE
    found = conjugate(noisy, np.ones((200, 2)))
    difference = (found[:, 0] - found[:, 1]) / DEGREE
    assert np.allclose(difference, difference[0])
    assert np.abs(difference[0] - [10.0, -6.0]).max() < 1.0, "less what a detector is off by itself"
    assert np.std(found - truth, axis=0).max() < 0.85 * np.std(noisy - truth, axis=0).min()


@pytest.mark.parametrize("apart", [(-2.5, 1.0), (7.5, 0.0)])
def test_a_difference_that_detectors_make_themselves_is_none(apart):
    rng = np.random.default_rng(5)
    found = conjugate(squinting(rng, 50, apart), np.ones((50, 2)))
    assert np.allclose(found[:, 0], found[:, 1])
    assert np.allclose(found[:, 0], squinting(np.random.default_rng(5), 50, (0.0, 0.0))[:, 0])


def test_a_wink_takes_its_gaze_from_the_open_eye():
    rng = np.random.default_rng(5)
    truth = np.repeat(random_gaze(rng, 50)[:, :1], 2, axis=1)
    seen, trust = truth.copy(), np.ones((50, 2))
    seen[20:30, 0], trust[20:30, 0] = 1.0, 0.0
    assert np.abs(conjugate(seen, trust) - truth).max() < 1e-4


def test_eyes_that_never_open_have_no_squint():
    gaze = random_gaze(np.random.default_rng(6), 5)
    found = conjugate(gaze, np.zeros((5, 2)))
    assert np.isfinite(found).all() and np.allclose(found[:, 0], found[:, 1])


def test_the_gaze_behind_closed_lids_goes_from_where_it_was_to_where_it_will_be():
    time = np.cumsum(np.random.default_rng(7).uniform(0.02, 0.05, 10))
    values = np.zeros((10, 2, 2))
    values[6:] = 0.3
    values[3:6] = 9.0
    trust = np.array([1, 1, 1, 0, 0, 0.2, 1, 1, 1, 1], float)
    found = bridged(time, values, trust)
    assert np.array_equal(found[trust > 0.5], values[trust > 0.5])
    assert np.all(np.diff(found[2:7, 0, 0]) > 0) and found.max() == 0.3
    share = (time[4] - time[2]) / (time[6] - time[2])
    assert np.isclose(found[4, 1, 1], 0.3 * share)


def test_nothing_to_bridge_from_leaves_everything():
    values = np.random.default_rng(8).normal(size=(4, 2, 2))
    assert np.array_equal(bridged(np.arange(4.0), values, np.zeros(4)), values)
    assert np.array_equal(bridged(np.arange(4.0), values, np.ones(4)), values)


def test_look_weights_and_gaze_directions_undo_each_other():
    rng = np.random.default_rng(9)
    gaze = rng.uniform(-1.0, 1.0, (50, 2, 2)) * EYE_ANGLE
    order, values = look_weights(gaze)
    assert [ARKIT_NAMES[i].startswith("eyeLook") for i in order] == [True] * 8 and len(set(order)) == 8
    weights = np.zeros((50, 52))
    weights[:, order] = values
    assert np.all(weights >= 0.0) and np.all(weights <= 1.0)
    assert np.allclose(gaze_directions(weights) * EYE_ANGLE, gaze)


def test_look_weights_are_named_from_the_subject():
    order, values = look_weights(np.array([[[0.3, 0.0], [0.3, 0.0]], [[0.0, -0.2], [0.0, -0.2]]]))
    weights = np.zeros((2, 52))
    weights[:, order] = values
    left, down = ({ARKIT_NAMES[i] for i in np.flatnonzero(row)} for row in weights)
    assert left == {"eyeLookOutLeft", "eyeLookInRight"}
    assert down == {"eyeLookDownLeft", "eyeLookDownRight"}


def test_a_gaze_beyond_its_range_is_a_full_weight():
    order, values = look_weights(np.full((1, 2, 2), 3.0))
    assert values.max() == 1.0 and INDEX["eyeLookUpLeft"] in order
