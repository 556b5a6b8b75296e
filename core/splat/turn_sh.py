# SPDX-License-Identifier: GPL-3.0-or-later
"""Turning spherical harmonics: coefficients of the same colours, seen from directions that were turned."""

from __future__ import annotations

from functools import lru_cache
from math import isqrt, pi

import numpy as np

from .harmonics import harmonics

Array = np.ndarray


def turned(sh: Array, turns: Array) -> Array:
    """Coefficients (n, (degree + 1)^2, 3) after rotations (n, 3, 3): new(d) = old(turn^T d) for all d.

    float32; exact but for rounding. A rotation mixes only harmonics of one degree; how, follows from their
    values in a few directions, before and after.
    """
    degree = isqrt(sh.shape[1]) - 1
    found = np.array(sh, np.float32)
    for level in range(1, degree + 1):
        own = slice(level**2, (level + 1) ** 2)
        directions, inverse = _probes(level)
        seen = np.einsum("pi,nij->npj", directions, turns)
        mixing = inverse @ harmonics(seen, level)[..., own]
        found[:, own] = mixing @ sh[:, own]
    return found


@lru_cache(maxsize=4)
def _probes(level: int) -> tuple[Array, Array]:
    """Directions (p, 3) spread over the sphere, and the inverse (2 level + 1, p) of the harmonics there."""
    count = 4 * level + 2
    z = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    angle = pi * (3.0 - 5.0**0.5) * np.arange(count)
    across = np.sqrt(1.0 - z * z)
    directions = np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=1)
    return directions, np.linalg.pinv(harmonics(directions, level)[:, level**2 :])
