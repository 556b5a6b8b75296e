# SPDX-License-Identifier: GPL-3.0-or-later
"""What no picture shows: mirrored, continued, with a grain, and gutters that hold nothing foreign."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from core.texture.fill import continued, grain, grain_of, mirrored, with_gutters, with_other_side
from core.texture.tones import TONES, tone, tone_luminance

S = 128


def test_the_other_side_is_taken_where_only_it_was_seen() -> None:
    picture = np.tile(np.linspace(0.2, 0.8, S, dtype=np.float32)[None, :, None], (S, 1, 3))
    seen = np.zeros((S, S), np.float32)
    seen[:, : S // 2 + 8] = 1
    whole, known = with_other_side(picture, seen, 4)
    assert known.min() == 1
    assert np.abs(whole[:, : S // 2 - 24] - picture[:, : S // 2 - 24]).max() < 0.03
    assert np.abs(whole[:, -8:] - mirrored(picture)[:, -8:]).max() < 0.03
    assert np.abs(np.diff(whole, axis=1)).max() < 0.04


def test_what_both_sides_show_is_left_alone() -> None:
    picture = np.random.default_rng(1).random((S, S, 3)).astype(np.float32)
    whole, _ = with_other_side(picture, np.ones((S, S), np.float32), 4)
    assert np.abs(whole - picture).max() < 1e-3


def test_a_filling_begins_as_what_was_seen_and_ends_as_what_is_expected() -> None:
    seen = np.zeros((S, 2 * S), np.float32)
    seen[:, :40] = 1
    picture, prior = np.full((S, 2 * S, 3), 0.45, np.float32), np.full((S, 2 * S, 3), 0.5, np.float32)
    filled = continued(picture, seen, prior, 40.0, 8.0)
    assert np.allclose(filled[:, :40], 0.45, atol=1e-4)
    assert np.allclose(filled[:, 44], 0.45, atol=0.01)
    assert np.allclose(filled[:, -10:], 0.5, atol=1e-3)
    assert np.abs(np.diff(filled, axis=1)).max() < 0.01


def test_hair_over_skin_does_not_darken_skin_far_away() -> None:
    seen = np.zeros((S, 2 * S), np.float32)
    seen[:, :40] = 1
    picture, prior = np.full((S, 2 * S, 3), 0.1, np.float32), np.full((S, 2 * S, 3), 0.6, np.float32)
    filled = continued(picture, seen, prior, 60.0, 6.0)
    assert filled[:, 41].max() < 0.2
    assert np.allclose(filled[:, 75:], 0.6, atol=0.02)


def test_grain_has_the_strength_that_was_measured() -> None:
    wanted = [0.02, 0.012, 0.008]
    noise = grain((256, 256), wanted)
    found = grain_of(noise, np.ones((256, 256), bool))
    assert abs(float(noise.mean())) < 1e-3
    assert np.all(np.abs(np.log(np.array(found) / wanted)) < np.log(1.8))
    assert np.array_equal(noise, grain((256, 256), wanted))


def test_gutters_repeat_the_nearest_texel() -> None:
    inside = np.zeros((64, 64), bool)
    inside[10:30, 10:30] = inside[40:60, 40:60] = True
    picture = np.zeros((64, 64, 3), np.float32)
    picture[10:30, 10:30], picture[40:60, 40:60] = 0.25, 0.75
    whole = with_gutters(picture, inside)
    assert np.array_equal(whole[inside], picture[inside])
    assert np.all(whole[5, 15] == 0.25) and np.all(whole[62, 62] == 0.75)
    assert set(np.unique(whole)) == {0.25, 0.75}


def test_skin_gets_darker_with_melanin() -> None:
    levels = [tone_luminance(melanin) for melanin in np.linspace(0, 1, 21)]
    assert np.all(np.diff(levels) < 0)
    for melanin, colour in TONES:
        assert tone(melanin) == pytest.approx(colour)
    assert tone(-1.0) == TONES[0][1] and tone(2.0) == TONES[-1][1]
