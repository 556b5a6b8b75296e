# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending in bands: what is known alone comes back, borders vanish, detail comes from one picture."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from core.texture.blend import Bands, completed, shares, winner

H, W, LEVELS = 128, 192, 4
LEFT = (np.arange(W) < W // 2)[None].repeat(H, axis=0).astype(np.float32)
ALL = np.ones((H, W), np.float32)


def scene(seed: int = 1) -> np.ndarray:
    """(H, W, 3) float32: broad colours and fine detail."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:H, :W] / 40.0
    broad = 0.5 + 0.2 * np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=2)
    return (broad + 0.03 * random.standard_normal((H, W, 3))).astype(np.float32)


def blended(*parts: tuple) -> np.ndarray:
    blend = Bands((H, W), LEVELS)
    for part in parts:
        blend.add(*part)
    return blend.result()


def test_one_picture_comes_back() -> None:
    assert np.abs(blended((scene(), ALL, ALL, ALL)) - scene()).max() < 1e-4


def test_two_halves_of_one_picture_make_it_whole() -> None:
    garbage = np.where(LEFT[..., None] > 0, scene(), 37.0).astype(np.float32)
    other = np.where(LEFT[..., None] > 0, -5.0, scene()).astype(np.float32)
    whole = blended((garbage, LEFT, LEFT, LEFT), (other, 1 - LEFT, 1 - LEFT, 1 - LEFT))
    off = np.abs(whole - scene())
    assert off.mean() < 0.004
    assert off.max() < 0.15


def test_what_was_not_seen_bleeds_nowhere() -> None:
    dirty = scene()
    dirty[LEFT == 0] = 100.0
    clean = np.where(LEFT[..., None] > 0, scene(), 0.0).astype(np.float32)
    results = [blended((picture, LEFT, LEFT, LEFT)) for picture in (dirty, clean)]
    assert np.abs(results[0] - results[1]).max() < 1e-3


def test_no_border_is_left_between_pictures_of_other_levels() -> None:
    low, high = (np.full((H, W, 3), value, np.float32) for value in (0.4, 0.6))
    middle = W // 2
    overlap = ((np.arange(W) < middle + 32)[None].repeat(H, 0)).astype(np.float32)
    other = np.ascontiguousarray(overlap[:, ::-1])
    smooth = shares(np.stack([overlap, other]), 1.0)
    result = blended((low, overlap, LEFT, smooth[0]), (high, other, 1 - LEFT, smooth[1]))
    assert np.abs(np.diff(result, axis=1)).max() < 0.02
    assert np.all(result[:, 4] < 0.45) and np.all(result[:, -4] > 0.55)


def test_fine_detail_is_that_of_the_sharpest() -> None:
    random = np.random.default_rng(2)
    noise = 0.1 * random.standard_normal((H, W, 3)).astype(np.float32)
    plain = np.full((H, W, 3), 0.5, np.float32)
    half = np.full((H, W), 0.5, np.float32)
    result = blended((plain, ALL, ALL, half), (plain + noise, ALL, 0 * ALL, half))
    assert result.std() < 0.2 * noise.std()


def test_gaps_are_filled_with_what_is_around() -> None:
    picture = np.full((45, 70, 3), 0.3, np.float32)
    weight = np.zeros((45, 70), np.float32)
    weight[10:14, 20:60] = 1
    picture[weight == 0] = 9.0
    assert np.abs(completed(picture, weight) - 0.3).max() < 1e-3


def test_a_filling_lies_between_its_borders_and_keeps_what_is_known() -> None:
    picture = np.zeros((64, 64, 1), np.float32)
    picture[:, 40:] = 1
    weight = np.ones((64, 64), np.float32)
    weight[:, 24:40] = 0
    filled = completed(picture, weight)
    assert np.array_equal(filled[weight == 1], picture[weight == 1])
    assert filled.min() > -1e-4 and filled.max() < 1 + 1e-4
    assert filled[:, 25].mean() < 0.4 < 0.6 < filled[:, 38].mean()


def test_nothing_known_is_nothing() -> None:
    assert not completed(np.ones((8, 8, 3), np.float32), np.zeros((8, 8), np.float32)).any()


def test_shares_sum_to_one_where_anything_is_seen() -> None:
    weights = np.random.default_rng(3).random((4, 20, 20)).astype(np.float32)
    weights[:, 3:6, 3:6] = 0
    for power in (1.0, 8.0):
        total = shares(weights, power).sum(axis=0)
        assert np.allclose(total[weights.max(axis=0) > 0], 1, atol=1e-4)
        assert not total[3:6, 3:6].any()
    assert np.all(winner(weights)[3:6, 3:6] == -1)
    assert np.array_equal(winner(weights)[0], weights[:, 0].argmax(axis=0))


def test_a_shape_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="halved"):
        Bands((100, 64), 3)
