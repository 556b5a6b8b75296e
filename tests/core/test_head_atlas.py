# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout in which faces are stored: nothing folds or overlaps, it is upright and large, and it is told
from a layout made for other polygons.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError
from core.head import atlas as module
from core.head import load_model
from core.head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, NONE, SKIN, TEETH, load_atlas
from core.raster import rasterise

SIZE = 1024
DIAGONALS = ([0, 1, 2], [0, 2, 3], [0, 1, 3], [1, 2, 3])


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def rest(model):
    return model.rest(model.identity_coefficients()).vertices.astype(np.float64)


@pytest.fixture(scope="module")
def atlas(model):
    return load_atlas(model)


def signed_area(uv: np.ndarray) -> np.ndarray:
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    return 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def drawn(uv: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE) int: the triangle at each texel, -1 where there is none."""
    corners = uv.reshape(-1, 2).astype(np.float64) * [1, -1] + [0, 1]
    rows = np.arange(len(corners)).reshape(-1, 3)
    return rasterise(SIZE * corners, np.ones(len(corners)), rows, (SIZE, SIZE), cull=False).triangle


def place(atlas, row: int) -> np.ndarray:
    """(k, 2) the places of a row in the skin chart."""
    own = atlas.triangle_chart == SKIN
    return np.unique(atlas.uv[own][atlas.triangles[own] == row], axis=0)


def nearest(atlas, rest: np.ndarray, point: tuple[float, float, float]) -> int:
    rows = np.unique(atlas.triangles[atlas.triangle_chart == SKIN])
    return int(rows[np.argmin(np.linalg.norm(rest[rows] - point, axis=1))])


def test_every_chart_is_there_and_no_polygon_is_turned_over(model, atlas):
    assert set(np.unique(atlas.chart)) == {NONE, SKIN, EYE_LEFT, EYE_RIGHT, TEETH, MOUTH}
    assert atlas.corner_uv.shape == (*model.faces.shape, 2) and atlas.corner_uv.dtype == np.float32
    used = (atlas.chart != NONE)[:, None] & (model.faces >= 0)
    assert np.array_equal(np.isfinite(atlas.corner_uv).all(axis=2), used)
    assert atlas.uv.min() >= 0 and atlas.uv.max() <= 1
    assert signed_area(atlas.uv).min() > 0
    quads = atlas.corner_uv[(atlas.chart == SKIN)]
    # However Blender cuts a quad of the skin, no half is turned over.
    assert min(signed_area(quads[:, corners]).min() for corners in DIAGONALS) > 0


def test_nothing_overlaps_and_charts_keep_their_distance(atlas):
    area = signed_area(atlas.uv).sum()
    triangle = drawn(atlas.uv)
    covered = (triangle >= 0).mean()
    assert covered == pytest.approx(area, rel=1e-3)
    assert covered > 0.7
    chart = np.where(triangle >= 0, atlas.triangle_chart[triangle], NONE)
    for along in (0, 1):
        near = chart.copy()
        for step in range(1, 5):
            moved = np.roll(chart, step, axis=along)
            assert not np.any((near != NONE) & (moved != NONE) & (near != moved))


def test_the_skin_is_one_piece_cut_at_the_back_midline(model, rest, atlas):
    faces = atlas.chart == SKIN
    rows, corner_uv = model.faces[faces].ravel(), atlas.corner_uv[faces].reshape(-1, 2)
    order = np.argsort(rows, kind="stable")
    first = np.flatnonzero(np.diff(rows[order], prepend=-1))
    low = np.minimum.reduceat(corner_uv[order], first)
    high = np.maximum.reduceat(corner_uv[order], first)
    twice = rows[order][first][np.any(low != high, axis=1)]
    assert 15 < len(twice) < 40
    assert np.abs(rest[twice, 0]).max() < 1e-6 and rest[twice, 2].max() < 0.0
    apart = np.any(low != high, axis=1)
    assert np.abs(low[apart, 0] + high[apart, 0] - 1).max() < 1e-6  # on either side, mirrored


def test_it_lies_as_one_looks_at_a_person_and_the_face_is_large(rest, atlas):
    def at(x: float, y: float, z: float) -> np.ndarray:
        return place(atlas, nearest(atlas, rest, (x, y, z)))[0]

    brow, chin = at(0.0, 0.075, 0.1), at(0.0, -0.105, 0.1)
    left, right = at(0.075, -0.01, 0.03), at(-0.075, -0.01, 0.03)
    assert brow[1] - chin[1] >= 0.45  # hairline to chin
    assert left[0] - right[0] >= 0.45  # ear to ear; +X, the person's left, is to the right
    eyes = [at(side * 0.031, 0.0, 0.1) for side in (1, -1)]
    assert eyes[0][0] - eyes[1][0] >= 0.2
    assert brow[0] == pytest.approx(0.5, abs=1e-6)
    assert at(0.0, -0.2, 0.04)[1] < chin[1] < eyes[0][1]


def test_an_eye_is_a_disc_about_its_pupil(model, atlas):
    head = model.rest(model.identity_coefficients())
    for chart, part in ((EYE_LEFT, "eye_left"), (EYE_RIGHT, "eye_right")):
        own = atlas.triangle_chart == chart
        rows, uv = atlas.triangles[own].ravel(), atlas.uv[own].reshape(-1, 2)
        direction = head.vertices[rows] - head.joint_heads[model.joint_names.index(model.roles[part])]
        angle = np.arctan2(np.hypot(direction[:, 0], direction[:, 1]), direction[:, 2])
        assert np.radians(68) < angle.max() < np.radians(80)
        pupil = uv[np.argmin(angle)]
        away = np.linalg.norm(uv - pupil, axis=1)
        assert np.ptp(away[angle > 0.1] / angle[angle > 0.1]) < 5e-3 * away.max()
        assert np.all((uv - pupil)[direction[:, 0] > 0.005, 0] > 0)  # not mirrored


def test_both_halves_are_mirror_images(model, rest, atlas):
    faces = np.flatnonzero(atlas.chart == SKIN)
    middle, uv = rest[model.faces[faces]].mean(axis=1), atlas.corner_uv[faces].mean(axis=1)
    key = np.round(np.abs(middle) * 1e6)
    order = np.lexsort((middle[:, 0], *key.T))
    right, left = uv[order[0::2]], uv[order[1::2]]
    assert np.abs(left - (right * [-1, 1] + [1, 0])).max() < 1e-6


def test_the_head_blends_into_the_body_at_the_collar(model, rest, atlas):
    skin = np.unique(model.faces[atlas.chart == SKIN])
    others = np.unique(model.faces[(atlas.chart == NONE) & (model.face_part == 0)])
    collar = np.intersect1d(skin, others)
    collar = collar[rest[collar, 1] < -0.12]
    assert len(collar) > 30 and np.all(atlas.blend[collar] == 0)
    assert np.all(atlas.blend[skin[rest[skin, 1] > -0.09]] == 1)
    assert np.all(atlas.blend[others[rest[others, 1] < -0.3]] == 0)
    neck = skin[(rest[skin, 1] < -0.12)]
    assert np.unique(atlas.blend[neck]).size > 20


def test_a_model_with_other_polygons_keeps_its_own_uv(model):
    fewer = dataclasses.replace(
        model, faces=model.faces[:-1], uv=model.uv[:-1], face_part=model.face_part[:-1]
    )
    atlas = load_atlas(fewer)
    assert np.array_equal(atlas.corner_uv[:100], model.uv[:100])
    assert np.all(atlas.chart[fewer.face_part == fewer.part_names.index("eye_left")] == EYE_LEFT)
    assert atlas.sha256 != load_atlas(model).sha256
    assert np.all(atlas.blend == 1)


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_layout_is_an_error_that_names_it(model, tmp_path: Path, monkeypatch, data: bytes):
    (tmp_path / "anny.atlas.npz").write_bytes(data)
    monkeypatch.setattr(module, "_DATA", tmp_path)
    with pytest.raises(ModelError, match=r"anny\.atlas\.npz"):
        load_atlas(model)


def test_what_ships_is_what_the_command_compiles(model, atlas):
    pytest.importorskip("scipy")
    from core.head.compile_atlas import layout

    corner_uv, chart, blend = layout(model)
    assert np.array_equal(chart, atlas.chart)
    assert np.nanmax(np.abs(corner_uv - atlas.corner_uv)) < 1e-4
    assert np.abs(blend - atlas.blend).max() < 0.01
