# SPDX-License-Identifier: GPL-3.0-or-later
"""Who the sample shows: a face made up for it."""

from __future__ import annotations

NAME = "Likeness Sample"
GENDER = "female"
IDENTITY: dict[str, float] = {
    "gender": 1.0,
    "age": 0.62,
    "weight": 0.46,
    "muscle": 0.48,
    "height": 0.55,
    "proportions": 0.35,
    "african": 0.20,
    "asian": 0.25,
    "caucasian": 0.55,
    "chin-width-incr": -0.25,
    "mouth-scale-horiz-incr": 0.15,
    "nose-scale-horiz-incr": -0.2,
}
LOOK: dict[str, object] = {}
"""Fields of the default look that are chosen by hand."""
LIGHTS = "STUDIO"
