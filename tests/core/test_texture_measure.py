# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours and sizes that are measured: on eyes that were drawn, on stills that were painted, and on the
sample, whose person's look is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from core.capture import open_capture  # noqa: E402
from core.fit.likeness import fit_likeness  # noqa: E402
from core.head import load_model  # noqa: E402
from core.head.atlas import SKIN, load_atlas  # noqa: E402
from core.texture.colour import LUMINANCE, to_srgb  # noqa: E402
from core.texture.eye_patch import HALF, SIZE, EyePatch, eye_patches  # noqa: E402
from core.texture.footage import footage_pictures  # noqa: E402
from core.texture.measure import NAMES, Measured, measure, open_eyed  # noqa: E402
from core.texture.measure_eye import DARKEST, IRIS_LIMITS, measure_eyes  # noqa: E402
from core.texture.measure_still import still_colours  # noqa: E402
from core.texture.plain_skin import skin_regions  # noqa: E402
from core.texture.posed import PosedHead  # noqa: E402
from core.texture.still import Still, make_still  # noqa: E402
from core.texture.texels import TexelTable  # noqa: E402
from core.track import track_capture  # noqa: E402
from tests.bench.truth import CAPTURE, sample_truth  # noqa: E402

TONE = np.array([0.47, 0.27, 0.178])
BROWN, BLUE = np.array([0.085, 0.038, 0.015]), np.array([0.13, 0.19, 0.24])
SCLERA = np.array([0.62, 0.57, 0.53])


def drawn_eye(
    iris: np.ndarray = BLUE,
    radius: float = 0.37,
    pupil: float = 0.4,
    off: tuple[float, float] = (0.03, -0.04),
    opening: float = 0.3,
    blur: float = 1.0,
    shade: float = 0.8,
    glint: bool = True,
    px: float = 24.0,
) -> EyePatch:
    """A patch with an eye in it: lids that leave a slit of `opening` (half its height), a limbus, a pupil."""
    steps = HALF * (2 * (np.arange(SIZE) + 0.5) / SIZE - 1)
    x, y = np.meshgrid(steps, -steps)
    away = np.hypot(x - off[0], y - off[1])[..., None]
    picture = np.where(away < radius, iris, SCLERA)
    picture = np.where(away < pupil * radius, 0.004, picture)
    if glint:
        picture = np.where(np.hypot(x - 0.1, y - 0.12)[..., None] < 0.05, 0.95, picture)
    open_ = np.abs(y) < opening * np.sqrt(np.maximum(1 - (x / 0.68) ** 2, 0))
    picture = np.where(open_[..., None], picture * shade, TONE)
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), blur)
    inside = cv2.distanceTransform(open_.astype(np.uint8), cv2.DIST_L2, 5)
    return EyePatch(picture, np.clip((inside - 2) / 4, 0, 1).astype(np.float32), px)


def relative(found, truth) -> float:
    """Largest relative difference of colours."""
    return float(np.abs(np.asarray(found) / np.asarray(truth) - 1).max())


# ---- eyes


@pytest.mark.parametrize("radius", [0.32, 0.37, 0.42])
def test_the_iris_is_as_large_as_it_was_drawn(radius):
    found = measure_eyes([drawn_eye(radius=radius, off=(0.02 * k, -0.03)) for k in (-2, 0, 3)], TONE)
    assert found.iris_radius == pytest.approx(radius, abs=0.012)
    assert found.patches == 3


@pytest.mark.parametrize("pupil", [0.3, 0.5])
def test_the_pupil_of_a_light_eye_is_found(pupil):
    found = measure_eyes([drawn_eye(pupil=pupil)] * 2, TONE)
    assert found.pupil == pytest.approx(pupil, abs=0.05)


def test_the_pupil_of_a_black_eye_is_not_guessed():
    found = measure_eyes([drawn_eye(iris=np.array([0.008, 0.005, 0.004]))] * 2, TONE)
    assert found.pupil is None and found.iris is not None
    assert found.iris @ LUMINANCE == pytest.approx(DARKEST, rel=0.1)


@pytest.mark.parametrize("iris", [BROWN, BLUE])
def test_the_colour_of_the_iris_is_told_in_spite_of_glints(iris):
    found = measure_eyes([drawn_eye(iris=iris), drawn_eye(iris=iris, glint=False)], TONE)
    assert found.iris is not None
    assert relative(found.iris / found.iris.sum(), iris / iris.sum()) < 0.12
    assert relative(found.iris @ LUMINANCE, iris @ LUMINANCE) < 0.3


def test_an_eye_in_the_shade_of_its_lids_has_nearly_the_same_colours():
    lit, dim = (measure_eyes([drawn_eye(shade=shade)] * 2, TONE) for shade in (0.9, 0.45))
    assert lit.iris is not None and dim.iris is not None
    assert 0.6 < (dim.iris @ LUMINANCE) / (lit.iris @ LUMINANCE) < 1.0
    assert lit.white is not None and dim.white is not None and np.allclose(dim.white, lit.white, atol=0.02)
    assert dim.iris_radius is not None and dim.iris_radius == pytest.approx(lit.iris_radius, abs=0.011)


def test_no_white_is_no_eye():
    lids = EyePatch(
        np.broadcast_to(TONE, (SIZE, SIZE, 3)).astype(np.float32), np.ones((SIZE, SIZE), np.float32), 24
    )
    rng = np.random.default_rng(0)
    grain = EyePatch(lids.linear * rng.uniform(0.8, 1.2, (SIZE, SIZE, 1)).astype(np.float32), lids.free, 24)
    for patch in (lids, grain):
        assert measure_eyes([patch] * 3, TONE).iris is None
    assert measure_eyes([], TONE).iris_radius is None


def test_a_shut_a_small_and_a_lost_eye_tell_nothing():
    shut = drawn_eye(opening=0.05)
    small = drawn_eye(px=5.0)
    lost = drawn_eye()
    lost.free[:] = 0
    for patch in (shut, small, lost):
        assert measure_eyes([patch] * 3, TONE).iris is None


def test_what_is_found_is_believable_whatever_was_drawn():
    rng = np.random.default_rng(4)
    for _ in range(6):
        eye = drawn_eye(
            iris=rng.uniform(0.01, 0.3, 3),
            radius=rng.uniform(0.2, 0.6),
            pupil=rng.uniform(0.1, 0.8),
            off=tuple(rng.uniform(-0.1, 0.1, 2)),
            shade=rng.uniform(0.2, 1.0),
        )
        found = measure_eyes([eye] * 2, TONE)
        if found.iris_radius is not None:
            assert IRIS_LIMITS[0] <= found.iris_radius <= IRIS_LIMITS[1]
            assert found.pupil is None or 0.2 <= found.pupil <= 0.6
            assert found.white is not None and found.white.min() > 0.5 and found.white.max() < 0.8


# ---- the still


class Painted(NamedTuple):
    albedo: np.ndarray
    coverage: np.ndarray


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


def painted(model, size: int = 512, **colours) -> Painted:
    """A still with even colours by region."""
    atlas = load_atlas(model)
    table, regions = TexelTable.of(atlas, size), skin_regions(model)
    linear = np.broadcast_to(TONE, (size, size, 3)).copy()
    for name, colour in colours.items():
        where = table.sample(getattr(regions, name)[:, None])[..., 0] > 0.3
        linear[where] = colour
    return Painted(to_srgb(linear), np.where(table.chart == SKIN, 255, 0).astype(np.uint8))


def test_a_painted_still_gives_its_colours_back(model):
    lip, black = np.array([0.36, 0.11, 0.1]), np.array([0.02, 0.012, 0.01])
    still = painted(model, lip=lip, scalp=black, brow=black)
    found, share = still_colours(model, load_atlas(model), still)
    assert relative(found["skin"], TONE) < 0.03
    assert relative(found["lip"], lip) < 0.05
    assert share > 0.9 and np.all(found["hair"] <= black + 1e-3)
    assert relative(found["brow"], black) < 0.35


def test_a_bald_head_has_no_hair(model):
    found, share = still_colours(model, load_atlas(model), painted(model))
    assert "hair" not in found and share < 0.1
    assert "brow" not in found


def test_what_was_not_seen_is_not_told(model):
    still = painted(model, lip=BROWN)
    found, share = still_colours(
        model, load_atlas(model), Painted(still.albedo, np.zeros_like(still.coverage))
    )
    assert not found and share == 0.0


# ---- the whole


def test_only_what_was_measured_is_kept():
    measured = Measured(skin=TONE.astype(np.float32), pupil=0.4)
    assert list(measured.colours()) == ["skin"] and measured.appearance() == {"pupil": 0.4}
    assert measured.colours()["skin"] == pytest.approx(TONE.tolist(), abs=1e-4)
    assert Measured().colours() == {} and Measured().appearance() == {}


class Sample(NamedTuple):
    head: PosedHead
    still: Still
    measured: Measured


@pytest.fixture(scope="module")
def sample(model):
    """The sample tracked, fitted, textured and measured, as its user would."""
    pytest.importorskip("av")
    capture = open_capture(CAPTURE)
    likeness = fit_likeness(track_capture(capture, detector="wheel"), model, known=sample_truth().known)
    head = PosedHead(model, likeness.person.rest, likeness.performance)
    still = make_still(head, capture, head.atlas, 512, melanin=0.364)
    return Sample(head, still, measure(head, capture, head.atlas, still))


LOOK = {"lip": (0.367, 0.14, 0.107), "iris": (0.109, 0.086, 0.055), "hair": (0.022, 0.012, 0.008)}
"""The look of the sample's person: the lip's colour as it is mixed with the skin's, the others as they are.
"""
WITHIN = {"lip": 0.45, "iris": 0.35, "hair": 1.4}
"""Relative error that a video of 312 x 416 px, with a filmic tone curve, is allowed."""


@pytest.mark.parametrize("name", sorted(LOOK))
def test_the_sample_has_the_colours_of_its_look(sample, name):
    found = getattr(sample.measured, name)
    assert found is not None
    assert relative(found, LOOK[name]) < WITHIN[name]


def test_the_eyes_of_the_sample_have_their_size(sample):
    assert sample.measured.iris_radius == pytest.approx(0.3665, abs=0.03)
    assert sample.measured.pupil == pytest.approx(0.36, abs=0.08)
    assert sample.measured.figures["eyes"] >= 4


def test_all_colours_of_the_sample_are_seen_and_in_their_order(sample):
    colours = sample.measured.colours()
    assert set(colours) == set(NAMES)
    level = {name: float(np.array(colour) @ LUMINANCE) for name, colour in colours.items()}
    assert level["white"] > level["skin"] > level["lip"] > level["iris"] > level["hair"]
    assert level["brow"] < level["skin"]


def test_open_eyes_are_chosen(sample):
    performance = sample.head.performance
    blink = np.maximum(performance.weight("eyeBlinkLeft"), performance.weight("eyeBlinkRight"))
    chosen = open_eyed(sample.head)
    assert len(chosen) == 10 and chosen == sorted(set(chosen))
    assert blink[chosen].max() < 0.35 < blink.max()


def test_a_patch_sees_the_eye_straight(sample):
    """The middle of a patch is where the tracked iris is: dark, with brighter white beside it."""
    index = open_eyed(sample.head)[0]
    ((_, picture, scale),) = footage_pictures(open_capture(CAPTURE), sample.head.performance, [index])
    patches = eye_patches(
        sample.head, index, picture, scale, sample.still.lighting[0], sample.still.gain[index]
    )
    assert len(patches) == 2
    for patch in patches:
        middle = patch.linear[SIZE // 2 - 8 : SIZE // 2 + 8, SIZE // 2 - 8 : SIZE // 2 + 8].mean(axis=(0, 1))
        assert patch.free[SIZE // 2, SIZE // 2] > 0.9 and 10 < patch.iris_px < 20
        assert middle @ LUMINANCE < 0.5 * np.percentile((patch.linear @ LUMINANCE)[patch.free > 0.5], 90)
