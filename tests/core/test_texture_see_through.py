# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes, teeth and mouth seen again in the pose they were seen in are as they were, whatever the fit hides."""

from __future__ import annotations

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("scipy")

from core.camera import Camera  # noqa: E402
from core.head import load_model  # noqa: E402
from core.head.atlas import MOUTH, SKIN, load_atlas  # noqa: E402
from core.texture.rerender import Rerenderer  # noqa: E402
from core.texture.see_through import INNER, SeeThrough  # noqa: E402
from core.texture.texels import TexelTable  # noqa: E402
from core.texture.unproject import Unprojector  # noqa: E402

WIDTH, HEIGHT, SIZE = 320, 360, 512
CAMERA = Camera(
    np.array([900.0]), np.array([[160.0, 170.0]]), np.array([[WIDTH, HEIGHT]]), np.array([0.0, 0.0, -0.6])
)


@pytest.fixture(scope="module")
def scene():
    """Model, layout, a head with its jaw a little open, and a smooth picture that is different everywhere."""
    model = load_model("anny")
    rest = model.rest(model.identity_coefficients())
    weights = np.zeros(model.expression.count, np.float32)
    weights[model.expression_index["jawOpen"]] = 0.4
    vertices = model.pose(rest, weights) + CAMERA.head_position
    noise = np.random.default_rng(7).integers(20, 235, (24, 24, 3), np.uint8)
    picture = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return model, load_atlas(model), vertices.astype(np.float32), picture


@pytest.fixture(scope="module")
def seen_through(scene):
    model, atlas, vertices, picture = scene
    return SeeThrough(model, atlas, SIZE).unproject(picture, CAMERA, 0, vertices)


def test_what_is_behind_lids_and_lips_is_as_it_was(scene, seen_through):
    model, atlas, vertices, picture = scene
    view = Rerenderer(model, atlas, WIDTH, HEIGHT).view(vertices, CAMERA, 0)
    again, weight = view.picture(seen_through.rgb), view.picture(np.dstack([seen_through.weight] * 3))
    charts = np.full((HEIGHT, WIDTH), SKIN)
    (y, x), (height, width) = view.corner, view.region.shape
    shown = np.where(view.triangle >= 0, atlas.triangle_chart[view.triangle], SKIN)
    charts[y : y + height, x : x + width] = shown
    off = np.abs(again.astype(int) - picture).max(axis=2)
    for chart in INNER:
        here = charts == chart
        assert here.sum() > 200
        assert np.percentile(weight[here], 5) > 180
        # The lining of the mouth is small in the atlas: a texel is larger than a px.
        assert np.percentile(off[here], 80) < (25 if chart == MOUTH else 6)


def test_the_skin_is_judged_as_ever(scene, seen_through):
    model, atlas, vertices, picture = scene
    plain = Unprojector(model, atlas, SIZE).unproject(picture, CAMERA, 0, vertices)
    away = cv2.erode((TexelTable.of(atlas, SIZE).chart == SKIN).astype(np.uint8), np.ones((15, 15))) > 0
    assert np.array_equal(plain.weight[away], seen_through.weight[away])
    assert np.array_equal(plain.rgb[away & (plain.weight > 0)], seen_through.rgb[away & (plain.weight > 0)])


def test_what_is_outside_the_picture_is_not_seen(scene):
    model, atlas, vertices, picture = scene
    found = SeeThrough(model, atlas, SIZE).unproject(
        picture, CAMERA, 0, vertices + np.array([2.0, 0, 0], np.float32)
    )
    assert not found.weight.any()
