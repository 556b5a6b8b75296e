# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of skin by melanin. Needs nothing but Python: the material and the still both read it."""

from __future__ import annotations

from itertools import pairwise

TONES = (
    (0.0, (0.70, 0.475, 0.385)),
    (0.2, (0.575, 0.345, 0.250)),
    (0.36, (0.470, 0.270, 0.178)),
    (0.55, (0.300, 0.155, 0.094)),
    (0.75, (0.155, 0.073, 0.043)),
    (1.0, (0.052, 0.025, 0.016)),
)
"""Albedo by melanin, linear RGB: between measured light and dark skin."""
USUAL = 0.3
"""Melanin where nothing was measured."""


def tone(melanin: float | None) -> tuple[float, float, float]:
    """Linear RGB of skin with so much melanin (0..1, beyond it the nearest), `USUAL` where it is None."""
    melanin = USUAL if melanin is None else melanin
    for (low, a), (high, b) in pairwise(TONES):
        if melanin <= high:
            t = max(0.0, (melanin - low) / (high - low))
            return (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))
    return TONES[-1][1]


def tone_luminance(melanin: float | None) -> float:
    """Linear luminance (Rec. 709) of that skin."""
    red, green, blue = tone(melanin)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
