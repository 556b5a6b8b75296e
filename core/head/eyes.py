# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs as rigid spheres: they turn inside the lids without changing shape.

A blend shape cannot rotate (it shears and shrinks), and an eyeball that was scaled with the head is no
sphere any more. So each person gets spheres fitted to the front of the source model's own eye, where the
lids touch it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class EyeSocket:
    """One eye: which source rows show where it sits, and the unit eyeball to put there."""

    joint: str
    source_rows: Array
    """(n,) rows of the source eye's front."""
    first_row: int
    """First surface row of the eyeball (its cornea included)."""
    unit: Array
    """(m, 3) float32 eyeball around the origin, radius 1, looking along +Z."""


def fit_eyeball(points: Array) -> tuple[Array, float]:
    """Centre (3,) and radius of the sphere nearest to `points` ((n, 3)), by linear least squares (Coope
    1993).
    """
    middle = points.mean(axis=0, dtype=np.float64)
    local = points - middle
    system = np.c_[2 * local, np.ones(len(local))]
    solution = np.linalg.lstsq(system, (local**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    return (middle + centre).astype(np.float32), float(np.sqrt(solution[3] + centre @ centre))
