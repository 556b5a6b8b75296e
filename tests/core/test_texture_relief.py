# SPDX-License-Identifier: GPL-3.0-or-later
"""Relief out of colour: normals mean what Blender reads in them, dark is deep, and what is unsure is flat."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from core.head import load_model
from core.head.atlas import SKIN, HeadAtlas, load_atlas
from core.texture.colour import to_srgb
from core.texture.face_regions import BROWS, CHEEKS, EYES, FOREHEAD, triangle_regions
from core.texture.relief import FLAT, STEEPEST, make_relief, normal_map
from core.texture.tangents import TangentFrames
from core.texture.texels import TexelTable

SIZE = 1024
SKIN_COLOUR = np.array([0.36, 0.19, 0.12])


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def head(model):
    """Atlas, vertices, table, region of each texel and bumps on the average head."""
    atlas = load_atlas(model)
    table = TexelTable.of(atlas, SIZE)
    region = np.where(table.chart == SKIN, triangle_regions(model, atlas)[table.triangle], 0)
    vertices = model.rest(model.identity_coefficients()).vertices
    return atlas, vertices, table, region, waves(table.sample(vertices))


def decoded(picture: np.ndarray) -> np.ndarray:
    """Normals as Blender's Normal Map node reads them."""
    normal = picture / 127.5 - 1
    return normal / np.linalg.norm(normal, axis=2, keepdims=True)


def slopes_of(picture: np.ndarray) -> np.ndarray:
    normal = (picture.astype(float) - 128) / 127.5
    return -normal[..., :2] / normal[..., 2:]


def plane(matrix: np.ndarray, count: int = 12) -> tuple[HeadAtlas, np.ndarray]:
    """A flat square of 5 cm that faces up and forward, laid out by an affine map of its x and y."""
    side = np.linspace(-0.5, 0.5, count)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    corner = np.array([r * count + c for r in range(count - 1) for c in range(count - 1)])
    quads = np.stack([corner, corner + 1, corner + count + 1, corner + count], axis=1)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    uv = (np.stack([x, y], axis=1) @ matrix.T + 0.5).astype(np.float32)
    tilt = np.array([[1, 0, 0], [0, 0.8, -0.6]])
    vertices = (0.05 * np.stack([x, y], axis=1) @ tilt).astype(np.float32)
    chart = np.full(len(triangles), SKIN, np.uint8)
    blend = np.ones(len(vertices), np.float32)
    atlas = HeadAtlas(
        uv[quads], chart[::2], triangles, uv[triangles], chart, blend, f"plane {matrix.tolist()}"
    )
    return atlas, vertices


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.9, 0.0], [0.0, 0.9]],
        [[0.5, 0.3], [-0.2, 0.4]],  # turned, sheared, of unequal scale
        [[-0.7, 0.2], [0.1, 0.5]],  # and mirrored
    ],
)
def test_a_known_height_becomes_the_normals_of_that_surface(matrix):
    atlas, vertices = plane(np.array(matrix))
    table, frames = TexelTable.of(atlas, 512), TangentFrames.of(atlas, vertices)
    place = table.sample(vertices).astype(np.float64)
    up = np.array([0.0, 0.6, 0.8])
    x, y = place @ [1, 0, 0], place @ [0, 0.8, -0.6]
    height = 2e-5 * np.sin(500 * x + 900 * y) + 2e-5 * np.cos(700 * x - 200 * y)
    along = 1e-2 * np.cos(500 * x + 900 * y) - 1.4e-2 * np.sin(700 * x - 200 * y)
    across = 1.8e-2 * np.cos(500 * x + 900 * y) + 4e-3 * np.sin(700 * x - 200 * y)
    wanted = up - along[..., None] * [1, 0, 0] - across[..., None] * [0, 0.8, -0.6]
    wanted /= np.linalg.norm(wanted, axis=2, keepdims=True)
    picture = normal_map(height.astype(np.float32), frames.slopes_at(table))
    tangent, bitangent = frames.tangent[0, 0], frames.bitangent[0, 0]
    found = decoded(picture) @ np.stack([tangent, bitangent, up])
    inner = table.inside.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            inner &= np.roll(table.inside, step, axis)
    off = np.degrees(np.arccos(np.clip(np.sum(found * wanted, axis=2)[inner], -1, 1)))
    assert inner.mean() > 0.1
    assert off.max() < 0.6  # a step of 8 bits is 0.45 degrees
    slant = np.degrees(np.arccos(np.clip(wanted[inner] @ up, -1, 1)))
    assert slant.max() > 1.5


def waves(points: np.ndarray) -> np.ndarray:
    """Bumps 2 to 3 mm long, of all directions, about 1 in standard deviation."""
    rng = np.random.default_rng(4)
    total = np.zeros(points.shape[:-1], np.float32)
    for _ in range(8):
        direction = rng.normal(size=3)
        direction *= 2 * np.pi / rng.uniform(0.002, 0.003) / np.linalg.norm(direction)
        total += np.sin(points @ direction.astype(np.float32) + np.float32(rng.uniform(0, 6)))
    return total / 2


def painted(model, head, amount: float, hue: tuple[float, float, float] = (1, 1, 1), **more) -> np.ndarray:
    """The relief of a skin that is darker by waves, in shares of each channel."""
    atlas, vertices, table, _, bumps = head
    albedo = to_srgb(SKIN_COLOUR * np.exp(amount * bumps[..., None] * np.array(hue, np.float32)))
    coverage = np.where(table.inside, 255, 0).astype(np.uint8)
    return make_relief(albedo, coverage, atlas, model, vertices, **more)


def test_dark_is_deep(model, head):
    atlas, vertices, table, region, bumps = head
    frames = TangentFrames.of(atlas, vertices).slopes_at(table)
    true = slopes_of(normal_map(np.float32(3e-5) * bumps, frames))
    found = slopes_of(painted(model, head, 0.04))
    face = np.isin(region, (CHEEKS, FOREHEAD))
    a, b = true[face].ravel(), found[face].ravel()
    assert np.corrcoef(a, b)[0, 1] > 0.85
    assert 0.02 < np.sqrt(np.mean(b**2)) < 0.15


def test_brows_and_eyes_and_what_was_not_seen_stay_flat(model, head):
    atlas, vertices, table, region, _ = head
    found = painted(model, head, 0.04)
    for part in (BROWS, EYES):
        own = region == part
        rms = np.sqrt(np.mean(slopes_of(found)[own] ** 2))
        assert rms < 0.2 * np.sqrt(np.mean(slopes_of(found)[region == CHEEKS] ** 2))
    assert np.all(found[table.chart != SKIN] == FLAT)
    albedo = np.random.default_rng(1).integers(60, 160, (SIZE, SIZE, 3)).astype(np.uint8)
    unseen = make_relief(albedo, np.zeros((SIZE, SIZE), np.uint8), atlas, model, vertices)
    assert np.all(unseen == FLAT)


def test_plain_skin_is_flat(model, head):
    assert np.all(painted(model, head, 0.0) == FLAT)


def test_footage_of_a_small_face_gives_no_relief(model, head):
    assert np.all(painted(model, head, 0.04, footage_px=100.0) == FLAT)


def test_pigment_makes_less_relief_than_shade(model, head):
    region = head[3]
    cheeks = region == CHEEKS
    shade = np.std(slopes_of(painted(model, head, 0.04))[cheeks])
    # Freckles of the same luminance: red loses least.
    freckles = np.std(slopes_of(painted(model, head, 0.04, (0.45, 1.15, 1.6)))[cheeks])
    assert freckles < 0.7 * shade


def test_no_slope_is_too_steep_and_hair_is_no_relief(model, head):
    atlas, vertices, table, region, _ = head
    coverage = np.where(table.inside, 255, 0).astype(np.uint8)
    rng = np.random.default_rng(2)
    for spread in (0.15, 2.0):
        noise = rng.normal(size=(SIZE, SIZE, 1)) * spread
        found = make_relief(to_srgb(SKIN_COLOUR * np.exp(noise)), coverage, atlas, model, vertices)
        steep = np.hypot(*np.moveaxis(slopes_of(found), 2, 0))
        assert steep.max() < STEEPEST + 0.02
    assert np.sqrt(np.mean(steep[region == CHEEKS] ** 2)) < 0.02
