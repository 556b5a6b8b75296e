# SPDX-License-Identifier: GPL-3.0-or-later
"""The double seen again through its camera: every pixel is what a ray through it meets."""

from __future__ import annotations

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from core.camera import Camera  # noqa: E402
from core.head import load_model  # noqa: E402
from core.head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, TEETH, load_atlas  # noqa: E402
from core.texture import face_regions  # noqa: E402
from core.texture.colour import to_linear, to_srgb  # noqa: E402
from core.texture.rerender import Pyramid, Rerenderer, vertex_normals  # noqa: E402

WIDTH, HEIGHT = 160, 200
CAMERA = Camera(
    np.array([420.0]), np.array([[80.0, 96.0]]), np.array([[WIDTH, HEIGHT]]), np.array([0.0, 0.0, -0.6])
)


class Flat:
    """Half the light from everywhere."""

    def shade(self, normals):
        return np.full(normals.shape, 0.5, np.float32)


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def atlas(model):
    return load_atlas(model)


@pytest.fixture(scope="module")
def head(model):
    """The default person, a little turned, in the view frame."""
    turn = np.array([[0.94, 0.0, 0.342], [0.0, 1.0, 0.0], [-0.342, 0.0, 0.94]])
    return model.rest(model.identity_coefficients()).vertices @ turn.T + CAMERA.head_position


@pytest.fixture(scope="module")
def renderer(model, atlas):
    return Rerenderer(model, atlas, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def view(renderer, head):
    return renderer.view(head, CAMERA, 0)


def slope(size: int = 512) -> np.ndarray:
    """A texture that says where it is: red is u, green is v."""
    at = np.rint(255 * (np.arange(size) + 0.5) / size).astype(np.uint8)
    across, up = np.broadcast_arrays(at[None], at[::-1, None])
    return np.stack([across, up, np.zeros_like(up)], axis=-1)


def met(ray: np.ndarray, corners: np.ndarray) -> tuple[int, np.ndarray]:
    """The first of the triangles (n, 3, 3) whose front a ray from the origin meets, and where on it."""
    a, b, c = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(ray, c)
    scale = np.sum(b * across, axis=1)
    front = np.flatnonzero(scale > 1e-12)
    a, b, c, across, scale = a[front], b[front], c[front], across[front], scale[front]
    u = np.sum(-a * across, axis=1) / scale
    other = np.cross(-a, b)
    v, depth = other @ ray / scale, np.sum(c * other, axis=1) / scale
    hit = np.flatnonzero((u >= 0) & (v >= 0) & (u + v <= 1) & (depth > 0))
    if not len(hit):
        return -1, np.zeros(3)
    first = hit[np.argmin(depth[hit])]
    return int(front[first]), np.array([1 - u[first] - v[first], u[first], v[first]])


def test_a_pixel_is_what_a_ray_through_it_meets(renderer, view, atlas, head):
    regions, corners, hits = view.regions(), head[atlas.triangles].astype(np.float64), 0
    uv = np.zeros((HEIGHT, WIDTH, 2))
    top, left = view.corner
    height, width = view.region.shape
    uv[top : top + height, left : left + width][view.triangle >= 0] = view.uv
    for x, y in np.random.default_rng(2).integers(0, [WIDTH, HEIGHT], (150, 2)):
        ray = np.array([(x + 0.5 - 80.0) / 420.0, -(y + 0.5 - 96.0) / 420.0, -1.0])
        number, weights = met(ray, corners)
        assert regions[y, x] == (renderer.regions[number] if number >= 0 else 0)
        if number >= 0:
            np.testing.assert_allclose(uv[y, x], weights @ atlas.uv[number], atol=1e-4)
            hits += 1
    assert hits > 40


def test_the_texture_is_looked_up_where_the_surface_has_it(view):
    picture, seen = view.picture(slope()), view.regions() > 0
    top, left = view.corner
    box = view.region > 0
    expected = 255.0 * view.uv
    found = picture[top : top + box.shape[0], left : left + box.shape[1], :2][box]
    assert np.percentile(np.abs(found - expected), 99) < 3.0
    assert seen.sum() == box.sum() > 4000


def test_light_and_gain_multiply_in_linear_light(view):
    grey = np.full((256, 256, 3), 186, np.uint8)
    seen = view.regions() > 0
    plain, lit = view.picture(grey), view.picture(grey, Flat(), np.array([1.0, 0.5, 2.0]))
    assert np.all(plain[seen] == 186)
    expected = to_srgb(to_linear(np.array(186, np.uint8)) * np.array([0.5, 0.25, 1.0]))
    assert np.all(np.abs(lit[seen].astype(int) - expected) <= 1)


def test_shade_is_by_the_normal_in_the_view_frame(view):
    class Facing:
        def shade(self, normals):
            return np.clip(normals[:, 2:], 0, 1).repeat(3, axis=1)

    white = np.full((256, 256, 3), 255, np.uint8)
    picture = to_linear(view.picture(white, Facing()))[..., 0]
    seen = view.regions() == face_regions.FOREHEAD
    assert np.linalg.norm(view.normals, axis=1) == pytest.approx(1.0, abs=1e-4)
    assert picture[seen].max() > 0.97, "some of the forehead faces the camera"
    assert picture[view.regions() > 0].min() < 0.3, "its outline does not"


def test_the_background_stays_beside_the_head(renderer, head):
    footage = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    before = footage.copy()
    picture, region = renderer.render(head, CAMERA, 0, slope(), background=footage)
    assert np.array_equal(picture[region == 0], footage[region == 0])
    assert np.array_equal(footage, before)


def test_smaller_footage_shows_the_same(model, atlas, head, view):
    half = Rerenderer(model, atlas, WIDTH // 2, HEIGHT // 2).view(head, CAMERA, 0)
    large, small = (one.picture(slope()) for one in (view, half))
    large = cv2.resize(large, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    inside = cv2.erode((half.regions() > 0).astype(np.uint8), np.ones((5, 5))) > 0
    assert np.median(np.abs(large[inside].astype(int) - small[inside])) <= 2


def test_a_head_beside_the_picture_is_not_drawn(renderer, head):
    _, region = renderer.render(head + np.array([5.0, 0.0, 0.0]), CAMERA, 0, slope())
    assert not region.any()


def test_far_texels_are_averaged_in_linear_light():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    levels = Pyramid(stripes).levels
    np.testing.assert_allclose(levels[2], 0.5, atol=1e-6)


def test_normals_of_a_cube_point_along_its_diagonals():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    cut = [(q[0], q[k], q[k + 1]) for q in quads for k in (1, 2)]
    normals = vertex_normals(corners, np.array(cut))
    assert np.all(np.sum(normals * corners, axis=1) > 0.9 * np.sqrt(3.0))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)


# ---- regions


def test_regions_of_the_face(renderer, atlas, head):
    region = renderer.regions
    assert np.all(region[np.isin(atlas.triangle_chart, (EYE_LEFT, EYE_RIGHT))] == face_regions.EYES)
    assert np.all(region[np.isin(atlas.triangle_chart, (TEETH, MOUTH))] == face_regions.LIPS)
    assert set(np.unique(region)) == {face_regions.BODY, face_regions.FACE, *face_regions.NAMES}
    height = {n: head[atlas.triangles[region == n]][..., 1].mean() for n in face_regions.NAMES}
    order = ["forehead", "brows", "eyes", "cheeks", "mouth"]
    assert [face_regions.NAMES[n] for n in sorted(height, key=lambda n: -height[n])] == order


def test_regions_are_as_large_left_as_right(renderer, atlas, model):
    rest = model.rest(model.identity_coefficients()).vertices
    middle = rest[atlas.triangles].mean(axis=1)
    for number in face_regions.NAMES:
        x = middle[renderer.regions == number, 0]
        assert abs(np.mean(x > 0) - 0.5) < 0.03


def test_within_is_what_a_library_says():
    rng = np.random.default_rng(5)
    outline, points = rng.uniform(0, 10, (9, 2)), rng.uniform(0, 10, (400, 2))
    inside = face_regions.within(points, outline)
    for point, found in zip(points, inside, strict=True):
        assert found == (cv2.pointPolygonTest(outline.astype(np.float32), point.tolist(), False) > 0)
