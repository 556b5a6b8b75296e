# SPDX-License-Identifier: GPL-3.0-or-later
"""A painted head gives back its paint, and the fast way sees what the slow one sees."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from flame_like import flame_like
from unproject_twin import OTHER, PLAIN, Seen, expected, painted, unprojected

from core import rotation
from core.arkit import INDEX
from core.camera import Camera
from core.head import load_model
from core.head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, SKIN, TEETH, load_atlas
from core.performance import Performance
from core.texture.posed import PosedHead
from core.texture.texels import TexelTable
from core.texture.unproject import Unprojected, Unprojector

pytest.importorskip("cv2")

SIZE, SIDE = 512, 640
POSES = {
    "front": (0.0, 0.0, {}, 0.0),
    "turned": (0.6, 0.1, {"jawOpen": 0.5}, -0.3),
    "low": (-0.3, 0.35, {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 0.2, "mouthPucker": 0.6}, 0.0),
    "open": (-0.15, -0.1, {"jawOpen": 0.9, "mouthSmileLeft": 0.8, "eyeWideLeft": 1.0}, 0.35),
}
"""Yaw, pitch, weights and the gaze's yaw."""


class Case(NamedTuple):
    """A painted picture, seen both ways."""

    picture: np.ndarray
    vertices: np.ndarray
    found: Unprojected
    twin: Seen


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def atlas(model):
    return load_atlas(model)


@pytest.fixture(scope="module")
def rest(model):
    return model.rest(model.identity_coefficients())


@pytest.fixture(scope="module")
def head(model, rest):
    camera = Camera(
        np.array([1100.0]), np.array([[320.0, 310.0]]), np.array([[SIDE, SIDE]]), np.array([0, 0, -0.6])
    )
    weights = np.zeros((len(POSES), 52), np.float32)
    for row, (_, _, values, _) in zip(weights, POSES.values(), strict=True):
        for name, value in values.items():
            row[INDEX[name]] = value
    yaw, pitch, gaze = (np.array([pose[k] for pose in POSES.values()]) for k in (0, 1, 3))
    turns = rotation.from_angles(yaw, pitch, np.zeros(len(POSES)))
    looks = np.repeat(np.stack([gaze, 0.3 * gaze], axis=1)[:, None], 2, axis=1)
    take = Performance("made", np.arange(4) / 30.0, weights, head_rotation=turns, gaze=looks, camera=camera)
    return PosedHead(model, rest, take)


@pytest.fixture(scope="module")
def unprojector(model, atlas):
    return Unprojector(model, atlas, SIZE)


@pytest.fixture(scope="module")
def cases(model, atlas, rest, head, unprojector):
    made = {}
    for index, name in enumerate(POSES):
        vertices = head.vertices(index)
        picture = painted(model, atlas, head.camera, vertices, rest.vertices)
        found = unprojector.unproject(picture, head.camera, 0, vertices)
        made[name] = Case(picture, vertices, found, unprojected(atlas, SIZE, picture, head.camera, vertices))
    return made


@pytest.fixture(scope="module")
def table(atlas):
    return TexelTable.of(atlas, SIZE)


def share(found: np.ndarray) -> float:
    """How many of some are; 0 of none."""
    return float(np.mean(found)) if found.size else 0.0


every_pose = pytest.mark.parametrize("pose", POSES)


# ---- the texture comes back


@every_pose
def test_the_skin_that_was_painted_comes_back(cases, atlas, rest, table, pose):
    found, truth = cases[pose].found, expected(atlas, SIZE, rest.vertices)
    well = (table.chart == SKIN) & (found.weight > 128)
    assert well.sum() > 0.1 * (table.chart == SKIN).sum()
    off = np.abs(found.rgb[well] - truth[well]).max(axis=1)
    assert np.mean(off) < 1.5
    assert np.mean(off > 25) < 0.007


@every_pose
def test_what_is_not_skin_is_never_taken_for_it(cases, table, pose):
    found = cases[pose].found
    skin = (table.chart == SKIN) & (found.weight > 25)
    other = np.array([(255, 0, 255), OTHER, PLAIN[EYE_LEFT]])
    away = np.abs(found.rgb[skin][:, None].astype(int) - other).max(axis=2).min(axis=1)
    assert np.mean(away < 50) < 0.003


@every_pose
def test_an_eye_is_seen_between_its_lids_and_nowhere_else(cases, table, pose):
    case = cases[pose]
    for chart in (EYE_LEFT, EYE_RIGHT):
        seen = (table.chart == chart) & (case.found.weight > 40)
        off = np.abs(case.found.rgb[seen].astype(int) - PLAIN[chart]).max(axis=1)
        assert share(off > 40) < 0.001
        free = (table.chart == chart) & (np.abs(case.twin.behind) < 5e-4) & (case.twin.facing > 0.6)
        if pose in ("front", "open"):
            assert share(case.found.weight[free] > 100) > 0.4


def test_a_shut_eye_is_not_seen(cases, table):
    shut = cases["low"].found.weight[table.chart == EYE_LEFT]
    half = cases["low"].found.weight[table.chart == EYE_RIGHT]
    assert np.mean(shut > 0) < 0.01 < np.mean(half > 0)


def test_teeth_are_seen_in_an_open_mouth_only(cases, table):
    inside = np.isin(table.chart, (TEETH, MOUTH))
    assert np.mean(cases["front"].found.weight[inside] > 0) < 0.01
    found, twin = cases["open"].found, cases["open"].twin
    free = inside & (np.abs(twin.behind) < 5e-4) & (twin.facing > 0.6)
    assert free.sum() > 300 and np.mean(found.weight[free] > 100) > 0.3
    seen = inside & (found.weight > 40)
    assert np.mean(np.abs(found.rgb[seen].astype(int) - OTHER).max(axis=1) > 40) < 0.02
    hidden = inside & (twin.behind > 0.006) & np.isfinite(twin.behind)
    assert np.mean(found.weight[hidden] > 40) < 0.03


# ---- the fast way and the slow one


@every_pose
def test_colours_are_those_of_the_twin(cases, pose):
    """Where texels lie is linear between every second: less than a tenth of a px off."""
    found, twin = cases[pose].found, cases[pose].twin
    seen = found.weight > 64
    off = np.abs(found.rgb[seen] - twin.rgb[seen]).max(axis=1)
    assert np.mean(off) < 1.0 and np.percentile(off, 99) < 5


@every_pose
def test_what_the_twin_finds_hidden_has_no_weight(cases, table, pose):
    """Behind something by more than a centimetre, turned away, or outside the picture."""
    weight, twin = cases[pose].found.weight, cases[pose].twin
    outside = np.any((twin.place < 0) | (twin.place > SIDE), axis=2)
    slope = np.sqrt(1 - np.clip(twin.facing, 0.1, 1) ** 2) / np.clip(twin.facing, 0.1, 1)
    hidden = (twin.behind > 0.010 + 0.009 * slope) & np.isfinite(twin.behind) & (table.chart == SKIN)
    for unseen in (hidden, twin.facing < 0.0, outside, ~table.inside):
        assert share(weight[unseen] > 8) < 0.004


@every_pose
def test_what_the_twin_sees_well_has_weight(cases, atlas, table, pose):
    twin, weight = cases[pose].twin, cases[pose].found.weight
    head_only = table.sample(atlas.blend[:, None])[..., 0] == 1.0
    clear = head_only & (table.chart == SKIN) & (np.abs(twin.behind) < 5e-4) & (twin.facing > 0.75)
    assert clear.sum() > 10_000
    assert np.mean(weight[clear] > 200) > 0.89
    assert np.mean(weight[clear] > 64) > 0.92


@every_pose
def test_weight_rises_with_facing(cases, table, pose):
    twin, weight = cases[pose].twin, cases[pose].found.weight
    seen = (table.chart == SKIN) & (weight > 0)
    bands = [
        weight[seen & (twin.facing > low) & (twin.facing <= low + 0.15)].mean() for low in (0.1, 0.25, 0.5)
    ]
    assert bands[0] < bands[1] < bands[2]


# ---- pictures of other kinds


def test_a_smaller_picture_of_the_same_view_lands_on_the_same_texels(cases, head, unprojector, table):
    import cv2

    case = cases["turned"]
    small = cv2.resize(case.picture, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    found = unprojector.unproject(small, head.camera, 0, case.vertices)
    both = (found.weight > 128) & (case.found.weight > 128)
    assert both.sum() > 0.9 * (case.found.weight > 128).sum()
    assert np.abs(found.rgb[both].astype(int) - case.found.rgb[both]).mean() < 8
    assert found.density == pytest.approx(case.found.density / 2, rel=0.05)


def test_no_px_is_passed_over_where_texels_are_larger(model, atlas, rest, head, cases):
    """A chequered picture becomes grey, not a pattern of its own."""
    vertices = cases["front"].vertices
    y, x = np.mgrid[:1920, :1920]
    chequers = np.repeat((255 * ((x // 2 + y // 2) % 2)).astype(np.uint8)[..., None], 3, axis=2)
    found = Unprojector(model, atlas, 128).unproject(chequers, head.camera, 0, vertices)
    assert found.density > 6
    well = found.weight > 128
    assert np.abs(found.rgb[well].astype(float) - 127.5).mean() < 12


def test_a_head_outside_the_picture_has_no_weight(head, unprojector, cases):
    far = cases["front"].vertices + np.array([1.0, 0.0, 0.0], np.float32)
    found = unprojector.unproject(cases["front"].picture, head.camera, 0, far)
    assert not found.weight.any() and found.density == 0.0


def test_half_a_head_in_the_picture_has_half_its_weight(head, unprojector, cases, table):
    case = cases["front"]
    camera = replace(head.camera, centre=np.array([[0.0, 310.0]]))
    found = unprojector.unproject(case.picture, camera, 0, case.vertices)
    share = (found.weight > 0).sum() / (case.found.weight > 0).sum()
    assert 0.4 < share < 0.6


def test_a_head_without_eyes_teeth_and_expressions_is_unprojected(head):
    model, _, _ = flame_like()
    bare = model.rest(np.zeros(model.identity.count, np.float32))
    own = PosedHead(model, bare, head.performance)
    picture = np.full((SIDE, SIDE, 3), 200, np.uint8)
    found = Unprojector(model, own.atlas, 128).unproject(picture, head.camera, 0, own.vertices(0))
    seen = found.weight > 64
    assert np.mean(seen) > 0.3 and np.all(found.rgb[seen] == 200)


@pytest.mark.parametrize("size", [0, 100, -64])
def test_a_size_that_cannot_be_is_refused(model, atlas, size):
    with pytest.raises(ValueError, match="multiple of 64"):
        Unprojector(model, atlas, size)
