# SPDX-License-Identifier: GPL-3.0-or-later
"""Surface detail: what an identity basis cannot say is seen, stays on the face, and takes the eyes along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_support import LENS, head, random_pose, seen

from core.fit.frame import FaceState, FrameSolver
from core.fit.refine import REACH, landmark_detail, surface_detail
from core.fit.slices import FACE, FaceRows


@pytest.fixture(scope="module")
def default():
    model, embedding = head()
    rest = model.rest(model.identity_coefficients())
    return model, embedding, rest, FaceRows.of(model, rest, embedding)


def bump(points: np.ndarray, centre: np.ndarray, size: float = 0.004, width: float = 0.025) -> np.ndarray:
    """(n, 3) a smooth swelling outwards around one place of the face."""
    near = np.exp(-0.5 * np.sum((points - centre) ** 2, axis=1) / width**2)
    return near[:, None] * np.array([0.3, 0.0, 1.0]) * size


def looked_at(face: FaceRows, moved: np.ndarray, count: int = 8, noise: float = 0.0, yaw: float = 0.8):
    """What `landmark_detail` makes of pictures of `face` with `moved` landmarks, poses known."""
    rng = np.random.default_rng(1)
    truth = replace(face, points=face.points + moved)
    states = [FaceState(random_pose(rng, yaw=yaw), np.zeros(52)) for _ in range(count)]
    landmarks = np.stack([seen(truth, state) for state in states])
    landmarks += noise * rng.normal(size=landmarks.shape)
    return landmark_detail(FrameSolver.of(face), landmarks, [LENS] * count, states)


def test_detail_moves_every_landmark_towards_where_it_is(default):
    _, _, _, face = default
    truth = bump(face.points, face.points[4])
    moved, information = looked_at(face, truth, noise=0.3)
    before, after = np.linalg.norm(truth, axis=1), np.linalg.norm(truth - moved, axis=1)
    assert after.max() < 0.75 * before.max()
    assert np.sqrt(np.mean(after**2)) < 0.6 * np.sqrt(np.mean(before**2))
    assert np.all(np.linalg.eigvalsh(information) > -1e-3)


def test_a_face_that_is_right_already_stays(default):
    _, _, _, face = default
    moved, _ = looked_at(face, np.zeros((FACE, 3)))
    assert np.abs(moved).max() < 1e-6


def test_ten_pictures_of_one_view_say_little_more_than_four(default):
    _, _, _, face = default
    truth = bump(face.points, face.points[4])
    _, few = looked_at(face, truth, 4, yaw=0.05)
    _, many = looked_at(face, truth, 40, yaw=0.05)
    ratio = np.einsum("nii->n", many) / np.einsum("nii->n", few)
    assert np.median(ratio) < 1.6


def test_depth_is_only_believed_where_it_was_seen_from_the_side(default):
    _, _, _, face = default
    _, front = looked_at(face, np.zeros((FACE, 3)), yaw=0.02)
    _, sides = looked_at(face, np.zeros((FACE, 3)), yaw=1.0)
    share = [np.median(found[:, 2, 2] / found[:, 0, 0]) for found in (front, sides)]
    assert share[1] > 3 * share[0]


def carried(default, truth: np.ndarray) -> np.ndarray:
    model, _, rest, face = default
    sure = np.tile(np.eye(3) * 1e12, (FACE, 1, 1))
    return surface_detail(model, rest, face.points, truth, sure)


def test_the_surface_follows_its_landmarks(default):
    model, embedding, rest, face = default
    truth = bump(face.points, face.points[4])
    detail = carried(default, truth)
    changed = model.rest(model.identity_coefficients(), detail=detail)
    moved = embedding.points(changed.vertices)[:FACE] - embedding.points(rest.vertices)[:FACE]
    # The detail may not move the head's origin: that is a shift of the whole.
    moved = moved - np.mean(moved - truth, axis=0)
    off = np.linalg.norm(moved - truth, axis=1)
    assert np.sqrt(np.mean(off**2)) < 0.35 * np.sqrt(np.mean(np.sum(truth**2, axis=1)))
    assert detail.dtype == np.float32 and detail.shape == model.template.shape


def test_it_fades_away_from_the_face(default):
    model, _, rest, face = default
    detail = carried(default, bump(face.points, face.points[4]))
    source = model.template_rows(rest.vertices)
    size = np.linalg.norm(detail, axis=1)
    distance = np.min(np.linalg.norm(source[:, None] - face.points[None, ::12], axis=2), axis=1)
    assert size.max() > 0.002
    assert size[distance > 4 * REACH + 0.02].max() < 2e-5
    assert np.count_nonzero(size[source[:, 1] < -0.25]) == 0, "nothing below the neck"


def test_neighbours_on_the_skin_move_alike(default):
    model, _, rest, face = default
    detail = carried(default, bump(face.points, face.points[4]))
    faces = model.faces[model.part_faces("body")]
    faces = faces[np.all((faces >= 0) & (faces < len(detail)), axis=1)]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    source = model.template_rows(rest.vertices)
    length = np.linalg.norm(source[edges[:, 0]] - source[edges[:, 1]], axis=1)
    step = np.linalg.norm(detail[edges[:, 0]] - detail[edges[:, 1]], axis=1)
    assert np.all(step < 0.35 * length + 1e-6), "no fold"


def test_eyes_follow_their_sockets(default):
    model, _, rest, face = default
    around = np.linalg.norm(face.points - face.eyes[0], axis=1) < 0.045
    truth = np.zeros((FACE, 3))
    truth[around] = [0.002, 0.001, 0.0015]
    changed = model.rest(model.identity_coefficients(), detail=carried(default, truth))
    left, right = (
        changed.joint_heads[model.joint_names.index(name)] - rest.joint_heads[model.joint_names.index(name)]
        for name in ("eye.L", "eye.R")
    )
    assert np.all(left > [0.001, 0.0003, 0.0004]) and np.linalg.norm(left) < 0.005
    assert np.linalg.norm(right) < 0.4 * np.linalg.norm(left)
    eye = model.part_vertices("eye_left")
    centre = changed.joint_heads[model.joint_names.index("eye.L")]
    distance = np.linalg.norm(changed.vertices[eye] - centre, axis=1)
    assert np.isclose(distance.max(), changed.eye_radii[0], rtol=1e-3)
