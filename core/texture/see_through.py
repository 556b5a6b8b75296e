# SPDX-License-Identifier: GPL-3.0-or-later
"""Unprojection for pictures that are shown in the pose they were seen in: eyes, teeth and mouth take whatever
the footage shows at their place, be it a lid or a lip.

A fitted lid is a pixel or two off, and our teeth are not the person's. Where the fit hides a part of an eye
that the footage shows, or opens a mouth a little more, a texel that stays as it was would shine through: a
white rim about the iris, bright flesh where the mouth is dark. Seen again in its own pose, a texel that took
the footage as it is is right wherever it appears.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..head import HeadModel
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, TEETH, HeadAtlas
from .lattice import continued, sparse_points
from .texels import TexelTable
from .unproject import Unprojector

Array = np.ndarray

INNER = (EYE_LEFT, EYE_RIGHT, TEETH, MOUTH)
"""Charts behind lids and lips."""


class SeeThrough(Unprojector):
    """An unprojector to which nothing hides the inner charts, and which knows no bad angle on them: they, and
    what is beside them, have full weight wherever they lie in the picture.
    """

    def __init__(self, model: HeadModel, atlas: HeadAtlas, size: int, wanted: Array | None = None) -> None:
        """As `Unprojector`."""
        super().__init__(model, atlas, size, wanted)
        self._texels, corners, weights = _inner(atlas, size // 2)
        self._points = sparse_points(np.searchsorted(self.rows, corners), weights, len(self.rows))
        self._inside.reshape(-1)[_inner(atlas, size)[0]] = 255

    def _hide(self, half: Array, places: Array, zoom: float, shape: tuple[int, ...]) -> None:
        """Only the border of the picture hides anything of the inner charts."""
        weights = half.reshape(-1)
        weights[self._texels] = 255
        if not _within(places.T, shape).all():
            x_y = [self._points @ np.ascontiguousarray(axis) for axis in places.T[:2]]
            weights[self._texels[~_within(x_y, shape)]] = 0


def _inner(atlas: HeadAtlas, size: int) -> tuple[Array, Array, Array]:
    """Texels of the inner charts and those beside them, their corners and weights; as `lattice.bordered`."""
    texels, triangle, weights = continued(TexelTable.of(atlas, size))
    own = np.isin(atlas.triangle_chart[triangle], INNER)
    return texels[own], atlas.triangles[triangle[own]], weights[own]


def _within(places: Sequence[Array] | Array, shape: tuple[int, ...]) -> Array:
    """(k,) bool: whether places (x (k,) and y (k,) first, px) lie in a picture (H, W, ...)."""
    x, y = places[0], places[1]
    return (x > 0) & (y > 0) & (x < shape[1]) & (y < shape[0])
