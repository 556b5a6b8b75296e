# SPDX-License-Identifier: GPL-3.0-or-later
"""What each texel shows, and points that are spread over a surface."""

from __future__ import annotations

import numpy as np
import pytest

from core.head import load_model
from core.head.atlas import load_atlas
from core.texture.lattice import bordered, spread
from core.texture.texels import TexelTable

SIZE = 256


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def atlas(model):
    return load_atlas(model)


@pytest.fixture(scope="module")
def table(atlas):
    return TexelTable.of(atlas, SIZE)


def test_every_texel_of_a_triangle_knows_its_place(atlas, table):
    """Interpolating the layout itself gives back where texels are."""
    corners = atlas.uv[table.triangle[table.inside]]
    uv = np.einsum("nk,nkc->nc", table.barycentric[table.inside], corners)
    row, column = np.nonzero(table.inside)
    there = np.stack([(column + 0.5) / SIZE, 1 - (row + 0.5) / SIZE], axis=1)
    assert np.abs(uv - there).max() < 1e-5
    assert table.barycentric[table.inside].min() > -1e-5
    assert np.array_equal(table.chart[table.inside], atlas.triangle_chart[table.triangle[table.inside]])


def test_a_table_is_made_once(atlas, table):
    assert TexelTable.of(atlas, SIZE) is table


def test_values_of_rows_are_sampled(model, table):
    values = np.arange(model.row_count, dtype=np.float32)[:, None].repeat(2, axis=1)
    found = table.sample(values)
    assert found.shape == (SIZE, SIZE, 2) and not found[~table.inside].any()
    rows = table.triangles[table.triangle[table.inside]]
    assert np.all(found[table.inside][:, 0] <= rows.max(axis=1) + 1)
    assert np.all(found[table.inside][:, 0] >= rows.min(axis=1) - 1)


def test_a_plane_goes_on_beyond_the_border(table):
    """Points of texels around the charts lie where the nearest triangle would have them."""
    places = np.zeros((table.triangles.max() + 1, 2))
    places[table.triangles] = table.corners
    texels, corners, weights = bordered(table, 2)
    assert len(texels) > table.inside.sum() and np.allclose(weights.sum(axis=1), 1.0, atol=1e-4)
    assert np.isin(np.flatnonzero(table.inside), texels).all()
    seams = np.any(np.abs(places[corners] - places[corners].mean(axis=1, keepdims=True)) > 0.1, axis=(1, 2))
    found = np.einsum("kc,kcd->kd", weights, places[corners])[~seams]
    row, column = np.divmod(texels[~seams], SIZE)
    there = np.stack([column + 0.5, row + 0.5], axis=1) / SIZE
    off = np.abs(found - there).max(axis=1) * SIZE
    assert np.median(off) < 1e-3 and np.mean(off > 0.1) < 0.03


def test_points_are_spread_by_area():
    rng = np.random.default_rng(0)
    vertices = rng.uniform(0, 1, (30, 3))
    triangles = np.arange(30).reshape(10, 3)
    corners, weights = spread(triangles, vertices, 0.02)
    sides = vertices[triangles]
    area = 0.5 * np.linalg.norm(np.cross(sides[:, 1] - sides[:, 0], sides[:, 2] - sides[:, 0]), axis=1)
    count = np.array([np.all(corners == triangle, axis=1).sum() for triangle in triangles])
    assert np.abs(count - area / 0.02**2).max() <= 1.5
    assert weights.min() >= 0 and np.allclose(weights.sum(axis=1), 1.0, atol=1e-6)


def test_no_points_on_no_triangles():
    corners, weights = spread(np.zeros((0, 3), int), np.zeros((4, 3)), 0.1)
    assert corners.shape == (0, 3) and weights.shape == (0, 3)
