# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations: group laws, conversions held equal to scipy, and what the three angles mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from core import rotation

VECTORS = hnp.arrays(np.float64, (5, 3), elements=st.floats(-3.0, 3.0))


def quaternions(seed=0, count=500):
    return rotation.normalized(np.random.default_rng(seed).normal(size=(count, 4)))


def reference(q):
    return Rotation.from_quat(q[:, [1, 2, 3, 0]])


def near(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_conversions_agree_with_scipy():
    q = quaternions()
    r = reference(q)
    near(rotation.to_matrix(q), r.as_matrix())
    near(rotation.to_rotation_vector(q), r.as_rotvec())
    near(rotation.to_matrix(rotation.from_rotation_vector(r.as_rotvec())), r.as_matrix())
    near(rotation.to_matrix(rotation.multiply(q, q[::-1])), (r * reference(q[::-1])).as_matrix())


@given(VECTORS)
def test_vector_quaternion_matrix_round_trips(vectors):
    q = rotation.from_rotation_vector(vectors)
    near(np.linalg.norm(q, axis=1), 1.0)
    back = rotation.from_matrix(rotation.to_matrix(q))
    near(rotation.to_matrix(back), rotation.to_matrix(q))
    near(
        rotation.from_rotation_vector(rotation.to_rotation_vector(q)), q * np.where(q[:, :1] < 0, -1, 1), 1e-9
    )


def test_half_turns_keep_their_precision():
    axes = np.concatenate([np.eye(3), quaternions(1, 50)[:, 1:]])
    q = rotation.normalized(np.concatenate([np.zeros((len(axes), 1)), axes], axis=1))
    near(rotation.to_matrix(rotation.from_matrix(rotation.to_matrix(q))), rotation.to_matrix(q))


def test_angles_round_trip_and_point_where_they_say():
    rng = np.random.default_rng(2)
    yaw, pitch, roll = rng.uniform(-1.5, 1.5, (3, 200))
    q = rotation.from_angles(yaw, pitch, roll)
    for got, given_angle in zip(rotation.to_angles(q), (yaw, pitch, roll), strict=True):
        near(got, given_angle, 1e-9)
    face, left = np.array([0, 0, 1.0]), np.array([1.0, 0, 0])
    assert (rotation.to_matrix(rotation.from_angles(0.2, 0, 0)) @ face)[0] > 0.19  # to the subject's left
    assert (rotation.to_matrix(rotation.from_angles(0, 0.2, 0)) @ face)[1] > 0.19  # up
    assert (rotation.to_matrix(rotation.from_angles(0, 0, 0.2)) @ left)[1] > 0.19  # left ear up


def test_a_mirror_negates_yaw_and_roll_and_twice_is_the_identity():
    q = quaternions()
    flip = np.diag([-1.0, 1.0, 1.0])
    near(rotation.to_matrix(rotation.mirrored(q)), flip @ rotation.to_matrix(q) @ flip)
    assert np.array_equal(rotation.mirrored(rotation.mirrored(q)), q)


def test_slerp_is_unit_and_has_constant_speed():
    a, b = quaternions(3), quaternions(4)
    u = np.random.default_rng(5).uniform(0, 1, len(a))
    middle = rotation.slerp(a, b, u)
    near(np.linalg.norm(middle, axis=1), 1.0)
    whole = np.linalg.norm(rotation.to_rotation_vector(rotation.multiply(rotation.conjugate(a), b)), axis=1)
    part = np.linalg.norm(
        rotation.to_rotation_vector(rotation.multiply(rotation.conjugate(a), middle)), axis=1
    )
    near(part, u * whole, 1e-9)
    near(rotation.to_matrix(rotation.slerp(a, b, np.ones(len(a)))), rotation.to_matrix(b))


@pytest.mark.parametrize("angle", [0.0, 1e-300, 1e-12, 1e-8, 1e-4])
def test_slerp_of_nearly_equal_rotations(angle):
    a = quaternions(6, 3)
    b = rotation.multiply(a, rotation.from_rotation_vector(np.array([angle, 0, 0])))
    middle = rotation.slerp(a, b, np.full(3, 0.5))
    turned = rotation.to_rotation_vector(rotation.multiply(rotation.conjugate(a), middle))[:, 0]
    near(turned, angle / 2, 1e-15 + angle * 1e-6)


def test_slerp_of_opposite_signs_takes_the_short_way():
    a = quaternions(7)
    near(rotation.to_matrix(rotation.slerp(a, -a, np.full(len(a), 0.5))), rotation.to_matrix(a))


def test_continuous_equals_the_plain_loop():
    q = quaternions(8) * np.random.default_rng(9).choice([-1.0, 1.0], (500, 1))
    plain = [q[0]]
    for row in q[1:]:
        plain.append(row if row @ plain[-1] >= 0 else -row)
    assert np.array_equal(rotation.continuous(q), np.array(plain))


def test_a_zero_quaternion_is_no_rotation():
    near(rotation.to_matrix(np.zeros(4)), np.eye(3))
