# SPDX-License-Identifier: GPL-3.0-or-later
"""The first Gaussians: on every triangle, without gaps, in the texture's colours, loose where hair may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.avatar import Avatar
from core.head import load_model
from core.head.atlas import EYE_LEFT, MOUTH, SKIN, TEETH, load_atlas
from core.person import rest_of
from core.splat.gaussians import SH_C0
from core.splat.initial import HAIR_HEIGHT, areas, density, initial, scalp_triangles, shared_out, spread
from core.splat.playback import place
from core.splat.splat_avatar import SplatAvatar

Array = np.ndarray

COUNT = 20_000


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def avatar(tmp_path_factory):
    return Avatar(tmp_path_factory.mktemp("nobody") / "Nobody.avatar", "Nobody")


@pytest.fixture(scope="module")
def first(model, avatar) -> SplatAvatar:
    return initial(model, avatar, COUNT)


def heights(splats: SplatAvatar) -> Array:
    """(n,) metres above their triangles at rest."""
    g = splats.gaussians
    return g.means[:, 1] * splats.surface.rest_frames.scales[g.binding]


def test_no_triangle_is_empty(model, avatar, first):
    triangles = np.arange(len(first.surface))
    assert abs(len(first.gaussians) - COUNT) <= 1
    for splats in (first, initial(model, avatar, 0), initial(model, avatar, 14_000, degree=1)):
        assert np.array_equal(np.unique(splats.gaussians.binding), triangles)
        assert np.all(np.diff(splats.gaussians.binding) >= 0)
    assert len(initial(model, avatar, 0).gaussians) == len(triangles)


def test_more_lie_where_people_look(model, avatar, first):
    atlas = load_atlas(model)
    share = density(model, atlas, first.surface, rest_of(model, avatar)) / areas(first.surface)
    assert np.all(share > 0)
    chart = first.surface.chart
    eyes, teeth = share[chart == EYE_LEFT].mean(), share[np.isin(chart, (TEETH, MOUTH))].mean()
    assert share[chart == SKIN].max() >= 3 * share[chart == SKIN].min() and eyes > teeth


def test_hair_begins_above_the_scalp_and_nowhere_else(model, first, avatar):
    lifted = heights(first) > 1e-4
    scalp = scalp_triangles(model, load_atlas(model), rest_of(model, avatar))
    assert 500 < lifted.sum() < 0.4 * COUNT
    assert scalp[first.gaussians.binding[lifted]].all()
    assert heights(first)[lifted].max() <= HAIR_HEIGHT + 1e-6
    middles = first.surface.rest_frames.middles[first.gaussians.binding[lifted]]
    face = (middles[:, 2] > 0.06) & (middles[:, 1] < 0.03)
    assert not face.any(), "no beard is guessed"


def test_both_halves_of_the_head_are_alike(first):
    shown = first.surface.rest_frames.middles[first.gaussians.binding]
    left, right = (shown[:, 0] > 0.005).sum(), (shown[:, 0] < -0.005).sum()
    assert abs(left - right) < 0.02 * (left + right)


def test_the_skin_has_no_gaps(first):
    """From the front every pixel well inside the head is covered by what lies on the skin."""
    pytest.importorskip("numba")
    cv2 = pytest.importorskip("cv2")
    from core.splat.raster import render
    from tests.core.splat_train_samples import view_from

    view = view_from(np.array([0.0, 0.0, 0.9]), 160)
    drawn = render(place(first, first.surface.rest, np.zeros(0), view.centre), view)
    points = first.surface.rest @ view.T_view_world[:3, :3].T + view.T_view_world[:3, 3]
    px = points[:, :2] / points[:, 2:] * [view.fx, view.fy] + [view.cx, view.cy]
    chin = first.surface.rest[first.surface.triangles, 1].min(axis=1) > -0.1
    silhouette = np.zeros((160, 160), np.uint8)
    for corners in np.rint(px[first.surface.triangles[chin]]).astype(np.int32):
        cv2.fillConvexPoly(silhouette, corners, 1)
    inside = cv2.erode(silhouette, np.ones((7, 7), np.uint8)) > 0
    assert inside.mean() > 0.1
    assert np.quantile(drawn.alpha[inside], 0.005) > 0.8


def test_colours_are_those_of_the_texture(model, tmp_path):
    cv2 = pytest.importorskip("cv2")
    avatar = Avatar.create(tmp_path / "Red.avatar", "Red")
    avatar.texture_folder.mkdir()
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[:, :128] = (30, 60, 200)  # BGR: red on the left, green on the right
    picture[:, 128:] = (40, 180, 50)
    assert cv2.imwrite(str(avatar.texture_folder / "albedo.png"), picture)
    avatar.textures["albedo"] = "albedo.png"
    splats, atlas = initial(model, avatar, 0), load_atlas(model)
    colours = 0.5 + SH_C0 * splats.gaussians.sh[:, 0]
    middle = atlas.uv[splats.gaussians.binding].mean(axis=1)[:, 0]
    red, green = np.array([200, 60, 30]) / 255, np.array([50, 180, 40]) / 255
    assert np.allclose(colours[middle < 0.49], red, atol=0.01)
    assert np.allclose(colours[middle > 0.51], green, atol=0.01)


def test_hair_has_the_persons_colour(model, avatar, first):
    blond = replace(avatar, colours={"hair": [0.5, 0.3, 0.1]})
    splats = initial(model, blond, COUNT)
    lifted = heights(splats) > 1e-4
    shown = 0.5 + SH_C0 * splats.gaussians.sh[lifted, 0]
    expected = 1.055 * np.array([0.5, 0.3, 0.1]) ** (1 / 2.4) - 0.055
    assert np.allclose(shown, expected, atol=0.01)
    assert not np.allclose(splats.gaussians.sh[~lifted, 0], splats.gaussians.sh[lifted][0, 0])


def test_a_share_is_given_by_weight_and_to_everyone():
    weights = np.array([1.0, 0.0, 3.0, 6.0])
    counts = np.bincount(shared_out(weights, 104), minlength=4)
    assert counts.tolist() == [11, 1, 31, 61]
    assert shared_out(weights, 2).tolist() == [0, 1, 2, 3]
    assert spread(weights, 0).tolist() == [] and spread(np.zeros(3), 5).tolist() == []
    assert np.all(np.diff(spread(weights, 50)) >= 0)
