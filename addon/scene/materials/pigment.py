# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin and hair by their pigment: the colours that materials mix, and the way back from a measured one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log

from ....core.texture.tones import TONES, tone

__all__ = ["HAIR", "RED", "TONES", "Colour", "hair_colour", "pigment_of", "times", "tone"]

Colour = tuple[float, float, float]
"""Linear RGB."""

HAIR = (
    (0.0, (0.62, 0.60, 0.57)),
    (0.2, (0.40, 0.27, 0.135)),
    (0.45, (0.19, 0.105, 0.048)),
    (0.7, (0.060, 0.031, 0.016)),
    (0.88, (0.021, 0.0125, 0.0085)),
    (1.0, (0.0075, 0.0062, 0.0058)),
)
"""Colour of a lock by melanin, linear RGB."""
RED = (1.25, 0.86, 0.66)
"""What red pigment makes of it."""


def times(colour: Sequence[float], factor: Sequence[float]) -> Colour:
    """Two colours multiplied."""
    return (colour[0] * factor[0], colour[1] * factor[1], colour[2] * factor[2])


def hair_colour(melanin: float, redness: float) -> Colour:
    """The colour that the hair material gives a middling strand, linear RGB."""
    pairs = pairwise(HAIR)
    low, high = next((pair for pair in pairs if melanin <= pair[1][0]), (HAIR[-2], HAIR[-1]))
    t = (min(max(melanin, 0.0), 1.0) - low[0]) / (high[0] - low[0])
    blend = [a + t * (b - a) for a, b in zip(low[1], high[1], strict=True)]
    red = [1.0 + 0.6 * redness * (c - 1.0) for c in RED]
    return (blend[0] * red[0], blend[1] * red[1], blend[2] * red[2])


def pigment_of(colour: Colour) -> tuple[float, float]:
    """Melanin and redness (0..1 each) whose strand comes nearest to a measured colour, linear RGB."""
    levels = [n / 50 for n in range(51)]

    def distance(pair: tuple[float, float]) -> float:
        # In optical density, in which pigment adds up; redness is the weaker evidence.
        made = hair_colour(*pair)
        apart = [log(max(a, 1e-4)) - log(max(b, 1e-4)) for a, b in zip(made, colour, strict=True)]
        return sum(value * value for value in apart)

    return min(((melanin, redness) for melanin in levels for redness in levels[::5]), key=distance)
