# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth and mouth are learnt from the pictures that show them between the lips."""

from __future__ import annotations

import numpy as np
import pytest

from core.arkit import INDEX
from core.camera import Camera
from core.head import load_model
from core.head.atlas import MOUTH, TEETH, load_atlas
from core.performance import Performance
from core.texture.at_times import nearest_known
from core.texture.between_lips import BetweenLips, foremost
from core.texture.low_rank import LowRankCollector
from core.texture.posed import PosedHead
from core.texture.texels import TexelTable

SIZE, SIDE = 256, 128


@pytest.fixture(scope="module")
def lips():
    model, weights = load_model("anny"), np.zeros((2, 52), np.float32)
    weights[1, INDEX["jawOpen"]] = 0.8
    camera = Camera(
        np.array([1200.0]), np.array([[256.0, 256.0]]), np.array([[512, 512]]), np.array([0.0, 0.02, -0.7])
    )
    take = Performance(
        "ah",
        np.array([0.0, 0.1]),
        weights,
        head_rotation=np.tile([1.0, 0.0, 0.0, 0.0], (2, 1)),
        head_translation=np.zeros((2, 3)),
        gaze=np.zeros((2, 2, 2)),
        camera=camera,
    )
    head = PosedHead(model, model.rest(model.identity_coefficients()), take)
    return BetweenLips(head, load_atlas(model), SIZE)


def test_an_open_mouth_shows_teeth_and_flesh_and_a_closed_one_hardly_anything(lips):
    chart = TexelTable.of(load_atlas(load_model("anny")), SIZE).chart.ravel()[lips.texels]
    closed, opened = lips.seen(0), lips.seen(1)
    assert closed.sum() < 0.1 * opened.sum()
    assert (opened & (chart == MOUTH)).sum() > 30
    assert 10 < (opened & (chart == TEETH)).sum() < 0.7 * (chart == TEETH).sum()


def test_what_lies_behind_something_else_is_hidden():
    px = np.array([[1.0, 1.0], [1.2, 1.1], [9.0, 9.0]])
    assert foremost(px, np.array([0.50, 0.52, 0.52])).tolist() == [True, False, True]


def test_the_nearest_picture_that_knows_a_texel_stands_for_the_others():
    known = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]], bool)
    assert nearest_known(known).T.tolist() == [[1, 1, 1, 4, 4], [0, 1, 2, 3, 4], [2, 2, 2, 2, 2]]


def test_what_hides_a_texel_is_not_learnt():
    """A texel that shows 40 where it is known and 200 where it is not is 40; so is the one beside it, which
    is never known. One far from both is as in the ground.
    """
    count, inside = 12, np.ones((SIDE, SIDE), bool)
    texels = np.array([5 * SIDE + 5, 5 * SIDE + 6, 20 * SIDE + 20])
    ground = np.full((SIDE, SIDE, 3), 7, np.uint8)
    collector = LowRankCollector(inside, count, ground, texels)
    for number in range(count):
        picture = np.full((SIDE, SIDE, 3), 90 + 5 * (number % 4), np.uint8)
        shown = number % 3 == 0
        picture.reshape(-1, 3)[texels] = 40 if shown else 200
        collector.add(number, picture, np.array([shown, False, False]))
    texture = collector.solve(4)
    for number in range(count):
        found = texture.picture(texture.coefficients[number])
        assert np.abs(found.reshape(-1, 3)[texels].astype(int) - [[40], [40], [7]]).max() <= 2
        assert np.abs(found[15, 10].astype(int) - (90 + 5 * (number % 4))).max() <= 2
