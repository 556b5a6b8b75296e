# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles that stand for one Gaussian each: its place, its turn and its size, in a file that moves
triangles and nothing else.
"""

from __future__ import annotations

import numpy as np

from .. import rotation
from .gaussians import Activated, Gaussians

Array = np.ndarray

WIDTH = 3.0
"""Of a triangle, in mean standard deviations of its Gaussian: wide enough that steps of 16 bits turn it by a
thousandth only."""


def corners(posed: Activated) -> Array:
    """(n, 3, 3) metres: a triangle for each Gaussian, whose frame (`files.triangles`) has the Gaussian's axes
    and middle, and `WIDTH` times its mean size.
    """
    axes = rotation.to_matrix(posed.rotations)
    first, third = axes[..., 0], axes[..., 2]
    width = WIDTH * mean_size(posed.scales)[:, None]
    low = posed.means + third * width / 3
    across = first * width / 2
    return np.stack([low - across, low + across, posed.means - third * width * (2 / 3)], axis=1)


def mean_size(scales: Array) -> Array:
    """(n,) metres: the mean, of logarithms, of (n, 3)."""
    return np.exp(np.log(scales.astype(np.float64)).mean(axis=1))


def on_own(posed: Activated, plain: Gaussians) -> Gaussians:
    """Gaussians local to their triangles, in the proportions that they are posed with; opacity and colour as
    in `plain`.
    """
    count = len(posed)
    shape = np.log(posed.scales) - np.log(WIDTH * mean_size(posed.scales))[:, None]
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    return Gaussians(np.zeros((count, 3)), shape, upright, plain.opacity_logits, plain.sh)
