# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin colour: taken from the face, monotone in darkness, cautious."""

from __future__ import annotations

import numpy as np
import pytest

from core.track.skin import MIDDLE, cie_lab, melanin, skin_colour

LIGHT, MEDIUM, DARK = (np.array(rgb) / 255.0 for rgb in ((240, 205, 185), (190, 140, 115), (75, 45, 35)))


def test_lab_of_known_colours():
    """Reference values of the D65 sRGB primaries and white (Lindbloom)."""
    assert cie_lab(np.ones(3)) == pytest.approx([100.0, 0.0, 0.0], abs=0.02)
    assert cie_lab(np.array([1.0, 0.0, 0.0])) == pytest.approx([53.24, 80.09, 67.20], abs=0.1)


def test_darker_skin_has_more_melanin_and_none_is_extreme():
    light, medium, dark = melanin(LIGHT), melanin(MEDIUM), melanin(DARK)
    assert light < medium < dark and abs(medium - MIDDLE) < 0.1
    assert light < 0.25 and dark > 0.6
    assert 0.0 < melanin(np.ones(3)) < melanin(np.zeros(3)) < 1.0


def test_colour_is_that_under_the_landmarks_whatever_surrounds_them():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (80, 120, 3), dtype=np.uint8)
    picture[20:60, 30:90] = (np.array(MEDIUM) * 255).round()
    landmarks = np.column_stack([rng.uniform(33, 86, 478), rng.uniform(23, 56, 478)])
    assert skin_colour(picture, landmarks) == pytest.approx(MEDIUM, abs=0.01)
    landmarks[50] = (-40.0, 500.0)  # a landmark beside the picture does no harm
    assert skin_colour(picture, landmarks) == pytest.approx(MEDIUM, abs=0.01)
