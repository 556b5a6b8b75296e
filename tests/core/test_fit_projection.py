# SPDX-License-Identifier: GPL-3.0-or-later
"""The pinhole, its derivatives, and the pose of a head in it."""

from __future__ import annotations

import numpy as np
import pytest
from fit_support import LENS, SIZE, face_of, random_pose, slope, turn_degrees

from core.camera import Camera
from core.errors import SettingsError
from core.fit.pose import head_pose, orthographic_pose
from core.fit.projection import (
    Lens,
    Pose,
    exponential,
    orthonormal,
    pose_columns,
    project,
    shape_columns,
    skew,
)

RNG = np.random.default_rng(11)


def points(count: int = 40) -> np.ndarray:
    return RNG.normal(size=(count, 3)) * 0.06


def test_the_exponential_is_a_rotation_with_its_series():
    for _ in range(20):
        vector = RNG.normal(size=3) * RNG.choice([1e-12, 1e-3, 1.0, 3.0])
        turn, cross = exponential(vector), skew(vector)
        assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-12) and np.isclose(np.linalg.det(turn), 1.0)
        term, total = np.eye(3), np.eye(3)
        for n in range(1, 40):
            term = term @ cross / n
            total = total + term
        assert np.allclose(turn, total, atol=1e-10)
        other = RNG.normal(size=3)
        assert np.allclose(cross @ other, np.cross(vector, other))


def test_rounding_does_not_add_up_over_a_take():
    pose = Pose(np.eye(3), np.zeros(3))
    for step in RNG.normal(size=(3000, 6)) * 0.2:
        pose = pose.moved(step)
    assert np.abs(pose.rotation @ pose.rotation.T - np.eye(3)).max() < 1e-14
    bent = exponential(RNG.normal(size=3)) + 1e-5 * RNG.normal(size=(3, 3))
    assert np.abs(orthonormal(bent) @ orthonormal(bent).T - np.eye(3)).max() < 1e-8


def test_the_projection_is_the_camera_that_a_performance_keeps():
    pose, lens = random_pose(RNG), Lens(777.0, np.array([301.0, 222.0]))
    camera = Camera(np.array([lens.focal]), lens.centre[None], np.array([SIZE]), np.zeros(3))
    px, arm, _ = project(points(), pose, lens)
    assert np.allclose(camera.project(arm + pose.translation), px, atol=1e-9)


def test_right_in_the_picture_is_the_subjects_left_and_up_is_up():
    front = Pose(np.eye(3), np.array([0.0, 0.0, -0.5]))
    px, _, _ = project(np.array([[0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05], [0, 0, 0]]), front, LENS)
    left, up, nose, middle = px - LENS.centre
    assert left[0] > 0 and up[1] < 0
    assert np.allclose(nose, 0) and np.allclose(middle, 0)


def test_a_pose_step_moves_points_as_its_columns_say():
    for _ in range(5):
        cloud, pose = points(), random_pose(RNG, yaw=1.2)
        _, arm, by_view = project(cloud, pose, LENS)

        def moved(step: np.ndarray, cloud=cloud, pose=pose) -> np.ndarray:
            return project(cloud, pose.moved(step), LENS)[0]

        expected = slope(moved, np.zeros(6), 1e-6)
        found = pose_columns(arm, by_view)
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_shape_moves_points_as_its_columns_say():
    cloud, shapes, pose = points(), RNG.normal(size=(40, 3, 7)) * 0.01, random_pose(RNG)
    _, _, by_view = project(cloud, pose, LENS)

    def moved(weights: np.ndarray) -> np.ndarray:
        return project(cloud + shapes @ weights, pose, LENS)[0]

    expected = slope(moved, np.zeros(7), 1e-5)
    assert np.abs(shape_columns(shapes, by_view, pose.rotation) - expected).max() < 1e-5


def test_turning_head_and_pose_against_each_other_changes_nothing():
    cloud, pose, turn = points(), random_pose(RNG), exponential(RNG.normal(size=3))
    other = Pose(pose.rotation @ turn.T, pose.translation)
    assert np.allclose(project(cloud @ turn.T, other, LENS)[0], project(cloud, pose, LENS)[0], atol=1e-9)


def test_size_and_distance_are_the_same_thing_to_one_camera():
    cloud, pose = points(), random_pose(RNG)
    twice = Pose(pose.rotation, 2 * pose.translation)
    assert np.allclose(project(2 * cloud, twice, LENS)[0], project(cloud, pose, LENS)[0], atol=1e-9)


def test_a_wild_step_behind_the_camera_stays_finite():
    px, _, by_view = project(points(), Pose(np.eye(3), np.array([0.0, 0.0, 3.0])), LENS)
    assert np.isfinite(px).all() and np.isfinite(by_view).all()


# ---- pose from landmarks


def test_the_pose_of_exact_landmarks_is_found_exactly():
    face = face_of().points
    for _ in range(40):
        pose = random_pose(RNG, yaw=1.4, pitch=0.6, roll=0.8)
        found, error = head_pose(face, project(face, pose, LENS)[0], LENS)
        assert turn_degrees(found.rotation, pose.rotation) < 0.01
        assert np.abs(found.translation - pose.translation).max() < 1e-4
        assert error < 0.01


@pytest.mark.parametrize("yaw", [-90, -60, 60, 90])
def test_profiles_are_poses_like_any(yaw):
    face = face_of().points
    turn = exponential(np.array([0.0, np.radians(yaw), 0.0]))
    pose = Pose(turn, np.array([0.02, -0.03, -0.7]))
    found, _ = head_pose(face, project(face, pose, LENS)[0], LENS)
    assert turn_degrees(found.rotation, pose.rotation) < 0.01


def test_one_landmark_in_five_may_be_anywhere():
    face = face_of().points
    for _ in range(10):
        pose = random_pose(RNG)
        landmarks = project(face, pose, LENS)[0] + RNG.normal(size=(468, 2)) * 0.3
        wrong = RNG.choice(468, 94, replace=False)
        landmarks[wrong] += RNG.normal(size=(94, 2)) * 30.0
        found, _ = head_pose(face, landmarks, LENS)
        assert turn_degrees(found.rotation, pose.rotation) < 0.5
        assert np.abs(found.translation - pose.translation).max() < 0.005


def test_a_shifted_principal_point_shifts_the_picture_only():
    face, pose = face_of().points, random_pose(RNG)
    landmarks = project(face, pose, LENS)[0]
    shift = np.array([40.0, -25.0])
    first, _ = head_pose(face, landmarks, LENS)
    second, _ = head_pose(face, landmarks + shift, Lens(LENS.focal, LENS.centre + shift))
    assert np.allclose(first.rotation, second.rotation, atol=1e-9)
    assert np.allclose(first.translation, second.translation, atol=1e-9)


def test_the_first_guess_needs_no_start():
    face = face_of().points
    for _ in range(20):
        pose = random_pose(RNG, yaw=1.0)
        guess = orthographic_pose(face, project(face, pose, LENS)[0], LENS)
        assert turn_degrees(guess.rotation, pose.rotation) < 20
        assert np.isclose(guess.translation[2], pose.translation[2], rtol=0.25)


def test_too_little_to_go_by_is_one_sentence():
    face = face_of().points
    landmarks = project(face, random_pose(RNG), LENS)[0]
    with pytest.raises(SettingsError, match="four or more landmarks, not 3"):
        head_pose(face[:3], landmarks[:3], LENS)
    with pytest.raises(SettingsError, match="four or more"):
        head_pose(face, landmarks[:5], LENS)
    with pytest.raises(SettingsError, match="one place"):
        head_pose(face, np.full((468, 2), 17.0), LENS)
    with pytest.raises(SettingsError, match="one place"):
        head_pose(np.zeros((468, 3)), landmarks, LENS)
    with pytest.raises(SettingsError):
        head_pose(face, np.full((468, 2), np.nan), LENS)
