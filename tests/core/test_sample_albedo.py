# SPDX-License-Identifier: GPL-3.0-or-later
"""The true skin colour of the sample belongs to the layout that ships, and is skin."""

from __future__ import annotations

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from core.head import load_model  # noqa: E402
from core.head.atlas import MOUTH, SKIN, load_atlas  # noqa: E402
from core.texture.colour import to_linear  # noqa: E402
from core.texture.face_regions import CHEEKS, LIPS, triangle_regions  # noqa: E402
from core.texture.texels import TexelTable  # noqa: E402
from tests.bench.truth import FOLDER  # noqa: E402

MARGIN = 6
"""Texels by which `tests/sample/albedo.py` goes on beyond the skin."""


@pytest.fixture(scope="module")
def truth():
    return cv2.cvtColor(cv2.imread(str(FOLDER / "likeness_sample_albedo.png")), cv2.COLOR_BGR2RGB)


def test_it_was_baked_into_the_layout_that_ships(truth):
    """Else run `make_sample.py --albedo-only`."""
    chart = TexelTable.of(load_atlas(load_model("anny")), truth.shape[0]).chart
    painted = truth.any(axis=2)
    skin = cv2.erode((chart == SKIN).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert painted[skin].all()
    reach = np.ones((2 * MARGIN + 5, 2 * MARGIN + 5), np.uint8)
    near = cv2.dilate(np.isin(chart, (SKIN, MOUTH)).astype(np.uint8), reach) > 0
    assert not painted[~near].any(), "the mouth is lined with skin, and nothing else is"


def test_lips_are_redder_than_cheeks_and_cheeks_are_skin(truth):
    model = load_model("anny")
    atlas = load_atlas(model)
    table = TexelTable.of(atlas, truth.shape[0])
    region = np.where(table.chart == SKIN, triangle_regions(model, atlas)[table.triangle], 0)
    cheek, lip = (np.median(to_linear(truth[region == part]), axis=0) for part in (CHEEKS, LIPS))
    assert lip[0] / lip[1] > 1.2 * cheek[0] / cheek[1]
    assert 0.15 < cheek[1] < cheek[0] < 0.7
