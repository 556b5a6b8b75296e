# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes of a person: where the model's mask lands, how it follows edges, what is said without the model."""

from __future__ import annotations

import numpy as np
import pytest
from track_clips import sample_frames

from core.errors import SplatError, WorkerError
from core.splat import matte
from core.splat.clothes import Clothes
from core.splat.cutting import Cut
from core.splat.head_region import Box, Rise
from core.splat.matte import Segmenter, Square, laid_back, ramp, refined, steadied
from core.splat.view import View

cv2 = pytest.importorskip("cv2")


def test_a_mask_of_a_square_is_laid_back_to_where_it_was_seen() -> None:
    square, corner, size = Square(-20.0, 12.0, 300.0), (30, 40), (150, 180)
    scale = 300.0 / 256
    place = (np.arange(256) + 0.5) * scale
    x, y = np.meshgrid(place - 20.0, place + 12.0)
    found = laid_back((0.002 * x + 0.001 * y).astype(np.float32), square, corner, size)
    across, down = np.meshgrid(corner[0] + np.arange(180) + 0.5, corner[1] + np.arange(150) + 0.5)
    assert np.abs(found - (0.002 * across + 0.001 * down)).max() < 1e-3


def test_a_blurred_mask_follows_the_edge_that_the_picture_shows() -> None:
    truth = np.zeros((120, 160), np.float32)
    cv2.circle(truth, (83, 60), 40, 1.0, -1)
    picture = np.where(truth[..., None] > 0, (30, 25, 20), (180, 190, 200)).astype(np.uint8)
    mask = cv2.GaussianBlur(np.roll(truth, 2, axis=1), (0, 0), 4)
    found = refined(mask, picture, 8)
    assert np.abs(found - truth).mean() < 0.5 * np.abs(mask - truth).mean()
    assert np.mean((found > 0.5) != (truth > 0.5)) < 0.1 * np.mean((mask > 0.5) != (truth > 0.5))
    assert found[60, 83] == 1 and found[5, 5] == 0


def test_where_colours_tell_nothing_the_mask_keeps_its_place() -> None:
    truth = np.zeros((120, 160), np.float32)
    truth[:, 70:] = 1
    mask = cv2.GaussianBlur(truth, (0, 0), 3)
    noise = np.random.default_rng(0).integers(20, 40, (120, 160, 3)).astype(np.uint8)
    found = refined(mask, noise, 10)
    assert np.abs(found[:, :62]).max() < 0.1 and found[:, 78:].min() > 0.9
    assert np.abs(found[:, 62:78] - mask[:, 62:78]).mean() < 0.2


def test_what_one_picture_alone_shows_is_dropped() -> None:
    rng = np.random.default_rng(1)
    before, after = (rng.random((4, 4)).astype(np.float32) for _ in range(2))
    wild = rng.uniform(-5, 5, (4, 4)).astype(np.float32)
    assert np.array_equal(steadied(before, wild, after), np.median([before, wild, after], axis=0))


def test_a_ramp_runs_from_nothing_to_all() -> None:
    values = ramp(np.array([-1.0, 0.2, 0.4, 0.6, 2.0], np.float32), 0.2, 0.6)
    assert values[0] == values[1] == 0 and values[2] == pytest.approx(0.5) and values[3] == values[4] == 1


def test_the_person_of_the_sample_is_found() -> None:
    picture = sample_frames(1)[0]
    height, width = picture.shape[:2]
    try:
        segmenter = Segmenter()
    except SplatError:
        pytest.skip("mediapipe is not installed")
    with segmenter:
        mask = segmenter.look(picture, Square(0.5 * (width - height), 0.0, float(height)))
    assert mask.shape == (256, 256) and mask.dtype == np.float32
    assert mask[100:150, 110:146].min() > 0.9 and mask[:20, 40:216].max() < 0.1


def test_without_a_segmentation_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise WorkerError("mediapipe is missing.")

    monkeypatch.setattr(matte, "import_mediapipe", missing)
    with pytest.raises(SplatError, match=r"no mattes and none can be made.*Make the worker environment"):
        Segmenter()


def collared(shirt: tuple[int, int, int]) -> Cut:
    """A head of skin on a shirt that reaches over the lower half of the neck; 1 px is a millimetre."""
    image = np.full((300, 200, 3), (210, 160, 130), np.uint8)
    image[230:] = shirt
    image = np.clip(image + np.random.default_rng(2).normal(0, 3, image.shape), 0, 255).astype(np.uint8)
    keep = np.zeros((300, 200), np.uint8)
    keep[:270] = 255
    person = np.full((300, 200), 255, np.uint8)
    rise = Rise(0.0, -0.001, 0.265)
    box = Box(0, 0, 200, 300)
    return Cut(0, image, person, keep, rise, box, View(200, 300, 100, 100, 100, 150), 1.0)


def test_a_collar_is_told_from_the_neck_by_its_colour() -> None:
    cut = collared((60, 80, 150))
    cover = Clothes.of([cut]).cover(cut)
    assert cover is not None
    assert cover[:222].max() == 0 and cover[236:270].min() > 0.99


def test_where_cloth_looks_like_skin_nothing_is_lost() -> None:
    cut = collared((210, 160, 130))
    cover = Clothes.of([cut]).cover(cut)
    assert cover is not None and cover[:240].max() == 0
    bare = collared((60, 80, 150))
    assert Clothes.of([]).cover(bare) is None
