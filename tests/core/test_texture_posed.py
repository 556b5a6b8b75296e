# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads as they stood before the camera, and the pictures of that moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from track_clips import SAMPLE, clip

from core import rotation
from core.avatar import Avatar
from core.camera import Camera
from core.capture import open_capture
from core.errors import AvatarError
from core.head import load_model
from core.head.atlas import NONE
from core.performance import Performance
from core.texture.footage import footage_pictures
from core.texture.posed import PosedHead


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def rest(model):
    return model.rest(model.identity_coefficients({"gender": 1.0, "age": 0.7}))


def performance(count: int = 5, seed: int = 3, **options) -> Performance:
    """Random weights, turns, moves and gaze before one camera."""
    rng = np.random.default_rng(seed)
    camera = Camera(
        np.array([900.0]), np.array([[256.0, 250.0]]), np.array([[512, 512]]), np.array([0.01, 0.02, -0.7])
    )
    values = {
        "head_rotation": rotation.from_rotation_vector(rng.normal(0, 0.3, (count, 3))),
        "head_translation": rng.normal(0, 0.02, (count, 3)),
        "gaze": rng.normal(0, 0.2, (count, 2, 2)),
        "camera": camera,
    }
    weights = rng.uniform(0, 1, (count, 52)).astype(np.float32)
    return Performance("made", np.arange(count) / 30.0, weights, **(values | options))


def whole(model, rest, take: Performance, index: int) -> np.ndarray:
    """(V, 3): the forward pass of the whole model, then the head's pose."""
    assert take.camera is not None and take.head_rotation is not None and take.head_translation is not None
    yaw, pitch = take.gaze_or_from_weights()[index].T
    turns = rotation.to_matrix(rotation.from_angles(yaw, pitch, np.zeros(2)))
    eyes = {model.roles[eye]: turn for eye, turn in zip(("eye_left", "eye_right"), turns, strict=True)}
    place = take.camera.head_position + take.head_translation[index]
    posed = model.pose(rest, take.weights[index], eyes).astype(np.float64)
    return posed @ rotation.to_matrix(take.head_rotation[index]).T + place


# ---- heads


def test_rows_of_the_atlas_are_where_the_whole_model_has_them(model, rest):
    take = performance()
    head = PosedHead(model, rest, take)
    assert head.count == 5 and head.camera is take.camera
    for index in (0, 3, 4, 3):
        off = np.abs(head.vertices(index) - whole(model, rest, take, index))[head.rows]
        assert off.max() < 2e-6


def test_without_gaze_the_look_weights_turn_the_eyes(model, rest):
    take = performance(gaze=None)
    off = np.abs(PosedHead(model, rest, take).vertices(2) - whole(model, rest, take, 2))
    assert off[PosedHead(model, rest, take).rows].max() < 2e-6


def test_normals_are_the_mean_of_the_polygons_around(model, rest):
    head = PosedHead(model, rest, performance())
    points = head.vertices(1).astype(np.float64)
    total = np.zeros_like(points)
    for corners in model.faces[head.atlas.chart != NONE]:
        ring = points[corners[corners >= 0]]
        fan = np.cross(ring[1:-1] - ring[0], ring[2:] - ring[0]).sum(axis=0)
        total[corners[corners >= 0]] += fan
    expected = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)
    found = head.normals(1)
    well = np.linalg.norm(total, axis=1) > 1e-8
    assert np.abs(found - expected)[well].max() < 2e-3
    rows = np.setdiff1d(np.arange(model.row_count), head.rows)
    assert not found[rows].any()


def test_a_performance_without_a_camera_is_one_sentence(model, rest):
    with pytest.raises(AvatarError, match="no camera"):
        PosedHead(model, rest, performance(camera=None))


def test_an_avatar_is_posed_by_what_was_seen_of_it(model, rest, tmp_path: Path):
    avatar = Avatar.create(tmp_path / "one.avatar", vertices=rest.vertices)
    with pytest.raises(AvatarError, match="tracked"):
        PosedHead.of_avatar(avatar)
    avatar.add_performance(performance(camera=None))
    avatar.add_performance(replace(performance(), name="seen"))
    head = PosedHead.of_avatar(avatar)
    assert head.performance.name == "seen"
    assert np.abs(head.vertices(2) - whole(model, rest, performance(), 2))[head.rows].max() < 1e-3


# ---- pictures


def flat(count: int) -> list[np.ndarray]:
    """Pictures that are as bright as their number says."""
    return [np.full((48, 64, 3), 20 * index + 20, np.uint8) for index in range(count)]


def at(times: list[float]) -> Performance:
    return Performance("made", np.array(times), np.zeros((len(times), 52)))


def numbers(found) -> list[tuple[int, int]]:
    """(sample, number of the picture) of what was given."""
    return [(index, round((float(picture.mean()) - 20) / 20)) for index, picture, _ in found]


def test_each_sample_gets_its_picture(tmp_path: Path):
    capture = clip(tmp_path / "a.mp4", flat(8))
    found = list(footage_pictures(capture, at([index / 30 for index in range(8)])))
    assert numbers(found) == [(index, index) for index in range(8)]
    assert found[0][1].shape == (48, 64, 3) and found[0][2] == 1.0


def test_only_what_is_asked_for_is_given(tmp_path: Path):
    capture = clip(tmp_path / "a.mp4", flat(8))
    take = at([index / 30 for index in range(8)])
    assert numbers(footage_pictures(capture, take, [6, 2])) == [(2, 2), (6, 6)]
    assert not list(footage_pictures(capture, take, []))


def test_samples_find_the_nearest_picture(tmp_path: Path):
    """At half the rate, off by a little, and with a gap in the footage."""
    capture = clip(
        tmp_path / "a.mp4", flat(8), times=[0, 1 / 30, 2 / 30, 3 / 30, 4 / 30, 9 / 30, 10 / 30, 11 / 30]
    )
    assert numbers(footage_pictures(capture, at([0.002, 2.2 / 30, 3.9 / 30]))) == [(0, 0), (1, 2), (2, 4)]
    even = at([index / 30 for index in range(12)])
    assert [index for index, *_ in footage_pictures(capture, even)] == [0, 1, 2, 3, 4, 9, 10, 11]


def test_a_part_of_a_take_gets_its_own_pictures(tmp_path: Path):
    capture = clip(tmp_path / "a.mp4", flat(8))
    take = at([index / 30 for index in range(8)]).sliced(0.09, 0.18)
    assert numbers(footage_pictures(capture, take)) == [(0, 3), (1, 4), (2, 5)]


def test_large_footage_is_given_smaller_and_turned(tmp_path: Path):
    capture = clip(tmp_path / "a.mp4", flat(2), turn=90)
    (_, picture, scale), _ = footage_pictures(capture, at([0.0, 1 / 30]), most=32)
    assert picture.shape == (32, 24, 3) and scale == 2.0 and picture.flags.c_contiguous


def test_photos_come_by_their_number(tmp_path: Path):
    from PIL import Image

    for index, picture in enumerate(flat(3)):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    damaged = tmp_path / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    found = footage_pictures(open_capture(tmp_path), at([0.0, 2.0]))
    assert numbers(found) == [(0, 0), (1, 2)]


def test_the_sample_gives_a_picture_to_every_sample():
    capture = open_capture(SAMPLE)
    take = Performance.load(SAMPLE.with_name("likeness_sample_truth.npz"))
    assert [index for index, *_ in footage_pictures(capture, take)] == list(range(take.frame_count))
