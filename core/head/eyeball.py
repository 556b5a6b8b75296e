# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit eye that replaces the base mesh's placeholder: white, iris bowl and cornea, looking along +Z."""

from __future__ import annotations

import numpy as np

from .patch import Patch, revolved

LIMBUS = np.radians(21.5)
"""Angle from the optical axis at which white meets iris. (The source's eyeballs are a third larger than
life.)"""
IRIS_DEPTH = 0.045
"""How far the iris plane lies behind the limbus, in eyeball radii."""
CORNEA_EDGE = np.radians(33.0)
CORNEA_HEIGHT = 0.05
"""Bulge of the cornea over the eyeball's sphere, in radii: about 0.8 mm, which closed lids still cover."""


def eyeball(segments: int = 48) -> Patch:
    """White and iris of the unit eye: a sphere whose front is cut at the limbus and closed by a shallow
    iris bowl.
    """
    inside = LIMBUS * np.array([0.0, 0.18, 0.36, 0.54, 0.72, 0.88, 0.97])
    outside = np.concatenate(
        [[LIMBUS * 1.0, LIMBUS * 1.06, LIMBUS * 1.16], np.radians([29, 36, 46, 58, 72, 90, 112, 136, 160])]
    )
    plane = np.cos(LIMBUS) - IRIS_DEPTH
    bowl = plane + 0.018 * (np.sin(inside) / np.sin(LIMBUS)) ** 2
    iris = np.c_[np.sin(inside), bowl]
    iris[-1, 1] = plane + 0.6 * IRIS_DEPTH
    white = np.c_[np.sin(outside), np.cos(outside)]
    return revolved(np.concatenate([iris, white]), segments, np.concatenate([inside, outside]))


def cornea(segments: int = 48) -> Patch:
    """The clear front of the unit eye: a bulge that runs out just above the white."""
    angles = np.concatenate([np.linspace(0, CORNEA_EDGE, 9), np.radians([40, 50, 62, 76, 90])])
    height = CORNEA_HEIGHT * np.clip(1 - (angles / CORNEA_EDGE) ** 2, 0, None) ** 1.5 + 0.003
    return revolved(np.c_[np.sin(angles), np.cos(angles)] * (1 + height)[:, None], segments, angles)
