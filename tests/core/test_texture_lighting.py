# SPDX-License-Identifier: GPL-3.0-or-later
"""Light and skin told apart, on heads whose light and colours are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from core import rotation
from core.head import load_model
from core.texture.colour import decode, encode, to_linear, to_srgb
from core.texture.light_fit import estimate_take_lighting, mirrored
from core.texture.lighting import (
    BOUNCE,
    COUNT,
    DOWN,
    HIGHEST,
    LOWEST,
    Lighting,
    estimate_lighting,
    frame_gain,
    irradiance_basis,
    weighted_median,
)
from core.texture.plain_skin import skin_regions

SKIN = np.array([0.42, 0.25, 0.17])
LAMP = np.array([0.5, 0.45, 0.74])
"""Where the lamp of the made-up takes is, from the face."""


def sphere(count: int = 4000) -> np.ndarray:
    """(count, 3) unit directions, even."""
    z = 1 - 2 * (np.arange(count) + 0.5) / count
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)


def lamp_and_sky(strength: float = 0.5) -> Lighting:
    """Even light and one lamp, a little warm: its spherical harmonics in closed form."""
    gathered = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])
    lamp = irradiance_basis(LAMP / np.linalg.norm(LAMP)) / gathered
    grey = strength * lamp
    grey[0] += 1.0
    tinge = np.ones((COUNT, 3))
    tinge[1:] = [1.06, 1.0, 0.92]
    return Lighting((0.6 * grey[:, None] * tinge).astype(np.float32))


def unbent(light: Lighting, normals: np.ndarray) -> np.ndarray:
    """The shade without its bounds: what a matte head shows."""
    return irradiance_basis(normals) @ light.coefficients


class Take:
    """A head that turns before a fixed light."""

    def __init__(self, light: Lighting, yaw: float, seed: int = 3, noise: float = 0.02) -> None:
        rng = np.random.default_rng(seed)
        model = load_model("anny")
        regions = skin_regions(model)
        rest = model.rest(model.identity_coefficients())
        rows = np.flatnonzero(regions.plain > 0.02)
        self.plain, self.places = regions.plain[rows], rest.vertices[rows]
        self.light, own = light, normals_of(model, rest.vertices)[rows]
        self.albedo = SKIN * np.exp(texture(self.places, rng))[:, None]
        self.albedo[self.plain < 0.4] *= 0.35  # hair, lips and brows are no skin
        angles = np.linspace(-yaw, yaw, 7)
        nods = 0.3 * yaw * np.sin(5 * np.arange(7))
        turns = rotation.to_matrix(rotation.from_angles(angles, nods, np.zeros(7)))
        self.normals = np.stack([own @ turn.T for turn in turns])
        self.weights = np.clip((self.normals[..., 2] - 0.15) / 0.5, 0, 1)
        self.gains = np.exp(0.05 * rng.normal(size=(len(turns), 3)))
        grain = np.exp(noise * rng.normal(size=(*self.normals.shape[:2], 1)))
        self.colours = 0.6 * unbent(light, self.normals) * self.albedo * self.gains[:, None] * grain

    def explained(self, given_places: bool = True):
        places = self.places if given_places else None
        return estimate_take_lighting(self.colours, self.normals, self.weights, self.plain, places)

    def lopsided(self, found: Lighting) -> float:
        """How much of the light's difference between left and right is not found: mean of its logarithm."""
        normals = self.normals[3][(np.abs(self.normals[3][:, 0]) > 0.1) & (self.normals[3][:, 1] > 0)]
        mirror = normals * [-1, 1, 1]
        sides = [np.log(unbent(light, normals) / unbent(light, mirror)) for light in (found, self.light)]
        return float(np.abs(sides[0] - sides[1]).mean())

    def shade_error(self, found: Lighting) -> float:
        """Mean relative error of the shade of what is seen and does not face down, after one gain per
        channel.
        """
        off = np.log(found.shade(self.normals) / unbent(self.light, self.normals))
        seen = (self.weights * self.plain > 0.2) & (self.normals[..., 1] > 0)
        return float(np.abs(off[seen] - np.median(off[seen], axis=0)).mean())


def normals_of(model, vertices: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals of the skin."""
    total = np.zeros((len(vertices), 3))
    corners = model.faces[model.part_faces("body")]
    a, b, c, d = (vertices[corners[:, k]].astype(float) for k in range(4))
    across = np.cross(c - a, d - b)
    for k in range(4):
        np.add.at(total, corners[:, k], across)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def texture(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(M,) log albedo: patches as large as a cheek, alike left and right, and fine grain that is not."""
    x, y = np.abs(places[:, 0]) / 0.06, places[:, 1] / 0.06
    return 0.12 * np.sin(2.2 * x + 1.0) + 0.12 * np.sin(2.5 * y) + 0.05 * rng.normal(size=len(places))


@pytest.fixture(scope="module")
def turning():
    return Take(lamp_and_sky(), 0.5)


# ---- colour


def test_all_256_levels_come_back():
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_srgb(to_linear(levels)), levels)


def test_the_tables_are_the_curve():
    levels = np.arange(256) / 255.0
    assert np.allclose(to_linear(np.arange(256, dtype=np.uint8)), decode(levels), atol=1e-6)
    light = np.linspace(0, 1, 5000)
    assert np.abs(to_srgb(light) - 255 * encode(light)).max() < 1.0


def test_light_beyond_the_picture_is_clipped():
    assert to_srgb(np.array([-1.0, np.nan, 0.0, 1.0, 7.0])).tolist() == [0, 0, 0, 255, 255]
    assert to_srgb(np.array(0.5)).shape == ()


# ---- shade


def test_the_basis_gathers_light_as_a_matte_surface_does():
    rng = np.random.default_rng(1)
    coefficients = rng.normal(size=COUNT)
    directions = sphere(20000)
    gathered = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])
    radiance = irradiance_basis(directions) / gathered @ coefficients
    normals = sphere(50)
    cosines = np.maximum(normals @ directions.T, 0)
    summed = 4 * (cosines * radiance).mean(axis=1)
    assert np.allclose(irradiance_basis(normals) @ coefficients, summed, atol=5e-3)


def test_even_light_shades_nothing():
    assert np.allclose(Lighting.even().shade(sphere(100)), 1.0)


def test_shade_stays_within_its_bounds_and_is_plain_between():
    strong = lamp_and_sky(4.0)
    shade = strong.shade(sphere())
    assert shade.min() >= LOWEST and shade.max() <= HIGHEST
    mild = lamp_and_sky(0.2)
    raw = irradiance_basis(sphere()) @ mild.coefficients
    inside = (raw > 2 * LOWEST) & (raw < 1.7) & (sphere()[:, 1:2] > 0)
    assert np.array_equal(mild.shade(sphere())[inside], raw[inside])


def test_what_faces_down_gets_light_from_below():
    dark = np.zeros((COUNT, 3), np.float32)
    dark[0], dark[1] = 1.0, 0.9
    shade = Lighting(dark).shade(sphere())
    down = sphere()[:, 1] < -DOWN[1]
    assert shade[down].min() >= BOUNCE > LOWEST
    aside = np.zeros((COUNT, 3), np.float32)
    aside[0], aside[3] = 1.0, 0.9
    assert Lighting(aside).shade(np.array([-1.0, 0.0, 0.0])).max() < 1.05 * LOWEST + 0.02


# ---- one picture


def test_even_skin_tells_its_light_exactly():
    light = lamp_and_sky()
    normals = sphere()
    normals = normals[normals[:, 2] > 0.15]
    found = estimate_lighting(normals, 0.3 * SKIN * unbent(light, normals), np.ones(len(normals)))
    ratio = unbent(found, normals) / unbent(light, normals)
    assert np.ptp(ratio, axis=0).max() < 0.02


def test_shade_is_one_on_average_and_without_a_cast():
    normals = sphere()
    normals = normals[normals[:, 2] > 0.15]
    shade = unbent(lamp_and_sky(), normals)
    for warm in (np.ones(3), np.array([1.5, 1.0, 0.6])):
        found = estimate_lighting(normals, 0.3 * SKIN * warm * shade, np.ones(len(normals)))
        assert np.allclose(np.exp(np.log(found.shade(normals)).mean(axis=0)), 1.0, atol=0.02)


def test_what_faces_the_camera_only_leaves_the_unseen_half_calm():
    rng = np.random.default_rng(2)
    normals = sphere()
    normals = normals[normals[:, 2] > 0.93]
    colours = 0.3 * SKIN * np.exp(0.15 * rng.normal(size=(len(normals), 1)))
    found = estimate_lighting(normals, colours, np.ones(len(normals)))
    everywhere = irradiance_basis(sphere()) @ found.coefficients
    assert everywhere.min() > 0.3 and everywhere.max() < 1.6


def test_nothing_to_see_is_even_light():
    for count in (0, 5):
        found = estimate_lighting(np.zeros((count, 3)), np.ones((count, 3)), np.zeros(count))
        assert np.allclose(found.shade(sphere(50)), 1.0)


def test_burnt_out_and_dark_samples_do_not_count():
    light = lamp_and_sky()
    normals = sphere()
    normals = normals[normals[:, 2] > 0.15]
    colours = 0.3 * SKIN * unbent(light, normals)
    plain = estimate_lighting(normals, colours, np.ones(len(normals)))
    colours[::7], colours[1::7] = 1.0, 0.001
    spoiled = estimate_lighting(normals, colours, np.ones(len(normals)))
    assert np.allclose(plain.shade(normals), spoiled.shade(normals), rtol=0.02)


# ---- a take


def test_a_turning_head_gives_light_and_albedo(turning):
    found = turning.explained()
    assert turning.shade_error(found.lighting) < 0.015
    seen = (turning.weights.max(axis=0) > 0.3) & (turning.normals[3][:, 1] > 0)
    off = np.log(found.albedo[seen] / turning.albedo[seen])
    assert np.abs(off - np.median(off, axis=0)).mean() < 0.025


def test_the_gain_of_each_frame_is_found(turning):
    found = turning.explained()
    off = np.log(found.gains / turning.gains)
    assert np.abs(off - np.median(off, axis=0)).max() < 0.03
    assert np.allclose(np.median(found.gains, axis=0), 1.0, atol=1e-5)


def test_faces_being_alike_left_and_right_tells_light_where_the_head_is_still():
    still = Take(lamp_and_sky(), 0.02)
    with_mirror, without = still.explained(), still.explained(given_places=False)
    assert still.lopsided(with_mirror.lighting) < 0.03
    assert still.lopsided(without.lighting) > 1.6 * still.lopsided(with_mirror.lighting)


def test_a_dark_patch_on_one_side_is_no_light(turning):
    before = turning.explained().lighting
    spoiled = Take(lamp_and_sky(), 0.5)
    patch = np.linalg.norm(spoiled.places - spoiled.places[np.argmax(spoiled.places[:, 0])], axis=1) < 0.03
    spoiled.colours[:, patch] *= 0.3
    after = spoiled.explained().lighting
    assert 10 < patch.sum() < 0.3 * len(patch)
    assert np.abs(np.log(after.shade(spoiled.normals) / before.shade(spoiled.normals))).mean() < 0.05


def test_a_lost_frame_has_gain_one_and_changes_nothing(turning):
    found = turning.explained()
    weights = np.concatenate([turning.weights, np.zeros((1, turning.weights.shape[1]))])
    colours = np.concatenate([turning.colours, turning.colours[:1]])
    normals = np.concatenate([turning.normals, turning.normals[:1]])
    again = estimate_take_lighting(colours, normals, weights, turning.plain, turning.places)
    assert np.allclose(again.gains[-1], 1.0)
    assert np.allclose(again.lighting.coefficients, found.lighting.coefficients, atol=0.01)


def test_a_frame_gain_is_not_misled_by_what_moved():
    rng = np.random.default_rng(5)
    expected = SKIN * rng.uniform(0.3, 1.2, (500, 1))
    colours = expected * [1.2, 1.0, 0.8]
    colours[:150] = rng.uniform(0, 1, (150, 3))
    found = frame_gain(colours, expected, np.ones(500))
    assert np.allclose(found, [1.2, 1.0, 0.8], rtol=0.03)
    assert np.array_equal(frame_gain(colours, expected, np.zeros(500)), np.ones(3))


# ---- small parts


def test_mirrored_places_find_each_other():
    model = load_model("anny")
    regions = skin_regions(model)
    places = model.rest(model.identity_coefficients()).vertices[regions.plain > 0.02]
    partner = mirrored(places)
    assert np.array_equal(partner[partner], np.arange(len(places)))
    aside = np.abs(places[:, 0]) > 0.005
    assert np.mean(partner[aside] != np.flatnonzero(aside)) > 0.95
    assert (
        np.abs(places[partner] * [-1, 1, 1] - places)[aside & (partner != np.arange(len(places)))].max()
        < 0.01
    )


def test_the_weighted_median_is_the_plain_one_for_equal_weights():
    values = np.random.default_rng(0).normal(size=(9, 4))
    assert np.array_equal(weighted_median(values, np.ones((9, 1))), np.median(values, axis=0))
    heavy = np.ones((9, 1))
    heavy[4] = 20
    assert np.array_equal(weighted_median(values, heavy), values[4])


def test_regions_are_alike_left_and_right_and_leave_lips_and_brows_out():
    model = load_model("anny")
    regions = skin_regions(model)
    for mask in (regions.plain, regions.calm, regions.brow, regions.lip):
        assert mask.min() >= 0 and mask.max() <= 1 and mask.max() > 0.9
    assert np.max(np.minimum(regions.plain, regions.lip)) < 0.15
    assert regions.plain[regions.brow > 0.8].max() < 0.2
    assert np.all(regions.calm <= regions.plain + 1e-6)
