# SPDX-License-Identifier: GPL-3.0-or-later
"""The still: which frames it is made of, and that a known face comes back from pictures of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("scipy")

from track_clips import SAMPLE

from core import rotation
from core.arkit import INDEX
from core.camera import Camera
from core.capture import open_capture
from core.head import load_model
from core.head.atlas import EYE_LEFT, MOUTH, SKIN, TEETH, load_atlas
from core.head.embedding import load_embedding
from core.performance import Performance
from core.texture import layers as layers_module
from core.texture.choose import calmness, covering, final_choice, sharpness, short_list, view_directions
from core.texture.colour import LUMINANCE, to_linear
from core.texture.eye_chart import CORNER, CORNER_SHADE, IRIS_SHARE, alike_eyes, completed_eye, distance
from core.texture.lighting import Lighting
from core.texture.posed import PosedHead
from core.texture.rerender import Rerenderer
from core.texture.still import make_still, working_size
from core.texture.texels import TexelTable
from core.texture.tones import tone_luminance
from core.texture.trust import Places, bare_neck, likeness

SIZE, SIDE, COUNT = 256, 384, 31
MELANIN = 0.4


def acted(count: int = COUNT) -> Performance:
    """A head that turns from side to side over a second before a camera, blinks and opens its mouth."""
    share = np.linspace(-1, 1, count)
    zero = np.zeros(count)
    weights = np.zeros((count, 52), np.float32)
    weights[20:22, [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 1.0
    weights[8:10, INDEX["jawOpen"]] = 0.8
    camera = Camera(
        np.array([2.6 * SIDE]),
        np.array([[SIDE / 2, SIDE / 2]]),
        np.array([[SIDE, SIDE]]),
        np.array([0.0, 0.02, -0.9]),
    )
    return Performance(
        "acted",
        np.arange(count) / 6.0,
        weights,
        head_rotation=rotation.from_angles(0.8 * share, 0.15 * np.cos(5 * share), zero),
        head_translation=np.zeros((count, 3)),
        gaze=np.zeros((count, 2, 2)),
        camera=camera,
    )


@pytest.fixture(scope="module")
def head():
    model = load_model("anny")
    return PosedHead(model, model.rest(model.identity_coefficients()), acted())


@pytest.fixture(scope="module")
def painted(head):
    """(SIZE, SIZE, 3) uint8: skin with broad and fine patches, alike on both sides."""
    table = TexelTable.of(load_atlas(head.model), SIZE)
    y, x = np.mgrid[:SIZE, :SIZE]
    wave = 12 * np.sin(np.abs(x - (SIZE - 1) / 2) / 5.0) * np.cos(y / 6.0)
    picture = np.array([190, 140, 118]) + wave[..., None]
    picture[table.chart == EYE_LEFT] = 200
    return np.clip(picture, 0, 255).astype(np.uint8)


LIGHT = Lighting(np.array([[1.0], [0.15], [0.3], [0.25], *[[0.0]] * 5], np.float32) * np.ones(3, np.float32))


@pytest.fixture(scope="module")
def made(head, painted):
    """The still of pictures that were drawn with a known texture, under a known light, before grey."""
    renderer = Rerenderer(head.model, head.atlas, SIDE, SIDE)
    background = np.full((SIDE, SIDE, 3), 60, np.uint8)

    def drawn(_capture, performance, indices=None, **_options):
        for i in range(performance.frame_count) if indices is None else sorted(indices):
            picture = renderer.render(
                head.vertices(i), head.camera, 0, painted, LIGHT, np.full(3, 1.1), background=background
            ).picture
            yield i, picture, 1.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers_module, "footage_pictures", drawn)
        return make_still(head, open_capture(SAMPLE), head.atlas, SIZE, melanin=MELANIN)


# ---- which frames


def test_blinks_and_open_mouths_are_passed_over(head):
    calm = calmness(head.performance)
    assert calm[20:22].max() < 0.3 * np.median(calm)
    assert calm[8:10].max() < 0.3 * np.median(calm)


def test_the_first_frame_is_from_the_front_and_the_others_from_all_sides(head):
    listed = short_list(head, photos=False)
    choice = final_choice(listed, head, dict.fromkeys(listed.all, 1.0))
    directions = view_directions(head)[list(choice.main)]
    assert abs(directions[0, 0]) < 0.25
    assert directions[:, 0].min() < -0.55 and directions[:, 0].max() > 0.55
    assert len(choice.main) == len(set(choice.main))
    assert set(choice.lids) <= {20, 21} and set(choice.mouth) <= {8, 9}


def test_a_blurred_frame_loses_to_its_neighbour(head):
    listed = short_list(head, photos=False)
    front = final_choice(listed, head, dict.fromkeys(listed.all, 1.0)).main[0]
    sharp = {i: 0.01 if i == front else 1.0 for i in listed.all}
    assert final_choice(listed, head, sharp).main[0] != front


def test_covering_wants_quality_and_sides():
    turns = np.radians(np.linspace(-60, 60, 13))
    directions = np.stack([np.sin(turns), 0 * turns, np.cos(turns)], axis=1)
    quality = np.ones(13)
    quality[0] = 0.01
    chosen = covering(quality, directions, np.arange(13.0), 4)
    assert chosen[0] == 6 and 0 not in chosen
    assert {min(chosen), max(chosen)} <= {1, 2, 10, 11, 12}


def test_blur_lowers_sharpness():
    picture = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    box = (4, 4, 60, 60)
    import cv2

    assert sharpness(cv2.GaussianBlur(picture, (0, 0), 2.0), box) < 0.3 * sharpness(picture, box)
    assert sharpness(picture, (70, 70, 90, 90)) == 0.0


# ---- what comes out


def test_it_is_whole_and_says_what_was_measured(made, head):
    table = TexelTable.of(head.atlas, SIZE)
    assert made.albedo.shape == (SIZE, SIZE, 3) and made.albedo.dtype == np.uint8
    assert made.albedo[table.inside].max(axis=1).min() > 0
    assert made.coverage.shape == (SIZE, SIZE)
    assert made.coverage.max() == 255 and not made.coverage[~table.inside].any()
    assert 0.2 < made.figures["seen"] < 0.95
    assert made.gain.shape == (COUNT, 3) and np.all(made.gain > 0)
    assert len(made.lighting) == 1 and made.frames


def test_a_known_face_comes_back_but_for_its_level(made, painted, head):
    table = TexelTable.of(head.atlas, SIZE)
    own = table.sample(head.atlas.blend[:, None])[..., 0] > 0.99
    seen = (made.coverage > 250) & (table.chart == SKIN) & own
    truth, found = (to_linear(picture)[seen] @ LUMINANCE for picture in (painted, made.albedo))
    off = np.log(found / truth)
    off -= np.median(off)
    assert np.median(np.abs(off)) < 0.04
    assert np.percentile(np.abs(off), 95) < 0.2


def test_gain_shade_and_albedo_make_the_footage(made, painted, head):
    seen = made.coverage > 250
    level = np.median(to_linear(painted)[seen] / to_linear(made.albedo)[seen], axis=0)
    shade = LIGHT.shade(np.array([0.0, 0.0, 1.0])) / made.lighting[0].shade(np.array([0.0, 0.0, 1.0]))
    expected = 1.1 * level * shade
    assert np.allclose(np.median(made.gain, axis=0), expected, rtol=0.12)


def test_skin_has_the_level_that_its_melanin_asks_for(made):
    assert made.skin @ LUMINANCE == pytest.approx(tone_luminance(MELANIN), rel=1e-3)


def test_the_lower_edge_is_plain_skin(made, head):
    table = TexelTable.of(head.atlas, SIZE)
    edge = (table.sample(head.atlas.blend[:, None])[..., 0] < 0.01) & (table.chart == SKIN)
    off = to_linear(made.albedo)[edge] - made.skin
    assert np.abs(off).max() < 0.02
    assert made.coverage[edge].max() < 10


def test_unseen_teeth_are_of_a_plausible_colour(made, head):
    table = TexelTable.of(head.atlas, SIZE)
    deep = depth_of(head.model, table)
    teeth = to_linear(made.albedo)[(table.chart == TEETH) & (made.coverage < 20) & (deep < 0.012)]
    assert np.all(np.diff(teeth.mean(axis=0)) < 0)
    assert 0.15 < teeth.mean() < 0.4


def test_unseen_parts_of_the_mouth_are_darker_the_deeper_they_lie(made, head):
    table = TexelTable.of(head.atlas, SIZE)
    deep, bright = depth_of(head.model, table), to_linear(made.albedo) @ LUMINANCE
    for chart in (TEETH, MOUTH):
        own = (table.chart == chart) & (made.coverage < 20)
        levels = [np.median(bright[own & (np.abs(deep - at) < 0.005)]) for at in (0.015, 0.03, 0.045)]
        assert levels[0] > 1.5 * levels[1] > 2.25 * levels[2] > 0, chart


def depth_of(model, table):
    """(S, S) metres behind the lips."""
    rest = model.rest(model.identity_coefficients()).vertices
    lips = load_embedding(model).points(rest)[13, 2]
    return table.sample(lips - rest[:, 2:])[..., 0]


def test_photos_get_a_light_each(head, painted):
    performance = head.performance
    keep = [5, 15, 25]
    camera = head.camera
    focal, centre, size = (part.repeat(3, 0) for part in (camera.focal, camera.centre, camera.size))
    album_camera = Camera(focal, centre, size, camera.head_position)
    photos = replace(
        performance,
        time=np.arange(3.0),
        weights=performance.weights[keep],
        confidence=performance.confidence[keep],
        head_rotation=performance.head_rotation[keep],
        head_translation=performance.head_translation[keep],
        gaze=performance.gaze[keep],
        camera=album_camera,
    )
    album = PosedHead(head.model, head.rest, photos)
    renderer = Rerenderer(head.model, head.atlas, SIDE, SIDE)
    gains = (0.7, 1.0, 1.3)

    def drawn(_capture, _performance, indices=None, **_options):
        for i in sorted(indices or range(3)):
            gain = np.full(3, gains[i])
            yield i, renderer.render(album.vertices(i), album.camera, i, painted, LIGHT, gain).picture, 1.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers_module, "footage_pictures", drawn)
        still = make_still(album, open_capture(SAMPLE), album.atlas, SIZE, melanin=MELANIN)
    assert len(still.lighting) == 3 and set(still.frames) == {0, 1, 2}
    found = still.gain.mean(axis=1)
    assert np.allclose(found / found[1], gains, rtol=0.12)


# ---- its parts


def test_clothes_and_what_is_below_them_are_no_neck():
    size = 64
    middle = np.full((size, size, 3), np.sqrt((0.5, 0.3, 0.2)), np.float32)
    middle[30:40] = np.sqrt((0.1, 0.1, 0.12))  # a grey collar; below it something of skin's colour
    ones, zeros = np.ones((size, size), np.float32), np.zeros((size, size), np.float32)
    places = Places(ones, zeros, zeros, zeros, ones, zeros, ones, ones, zeros, symmetric=True)
    bare = bare_neck(middle, ones, middle[0, 0], places)
    assert bare[:18].min() > 0.95
    assert bare[32:].max() < 0.05


def test_shade_is_forgiven_but_no_other_hue():
    skin = np.sqrt(np.array([0.5, 0.3, 0.2], np.float32))
    shaded, grey = 0.75 * skin, np.full(3, np.sqrt(0.34), np.float32)
    found = likeness(np.stack([skin, shaded, grey]), skin, shade=0.6)
    assert found[0] > 0.99 and found[1] > 0.9 and found[2] < 0.1


def test_an_eye_of_which_half_is_seen_is_completed():
    size = 81
    inside = np.ones((size, size), bool)
    away = distance(inside)
    truth = np.where((away < IRIS_SHARE)[..., None], (0.3, 0.2, 0.1), (0.75, 0.73, 0.7)).astype(np.float32)
    known = np.zeros((size, size), np.float32)
    known[size // 2 - 2 :] = 1
    whole = completed_eye(truth * known[..., None], known, away, np.array([0.75, 0.73, 0.7]))
    near = (np.abs(away - IRIS_SHARE) > 0.06) & (away < CORNER[0] + 0.05)
    assert np.abs(whole - truth)[near].max() < 0.05
    assert np.abs(whole - truth)[known > 0].max() < 1e-6
    corner = whole[(away > CORNER[1]) & (known == 0)]
    assert np.allclose(corner, np.sqrt(CORNER_SHADE) * truth[0, 0], atol=0.01)


def test_the_worse_eye_is_the_mirror_image_of_the_better():
    picture = np.random.default_rng(1).random((40, 40, 3)).astype(np.float32)
    good, bad = np.ones((40, 40), np.float32), np.zeros((40, 40), np.float32)
    (left, seen), (right, _) = alike_eyes([(0 * picture, bad), (picture, good)])
    assert np.allclose(left, picture[:, ::-1]) and right is picture and not seen.any()
    eyes = [(picture, good), (picture, 0.8 * good)]
    assert alike_eyes(eyes) is eyes


def test_it_is_worked_out_as_large_as_the_footage_is_fine():
    assert [working_size(density, 2048) for density in (0.3, 0.7, 1.0, 3.0)] == [512, 1024, 2048, 2048]
    assert working_size(3.0, 512) == 512 and working_size(3.0, 700) == 1024
