# SPDX-License-Identifier: GPL-3.0-or-later
"""Unprojection for pictures that are shown in the pose they were seen in: eyes, teeth and mouth take whatever
the footage shows at their place, be it a lid or a lip.

A fitted lid is a pixel or two off, and our teeth are not the person's. Where the fit hides a part of an eye
that the footage shows, or opens a mouth a little more, a texel that stays as it was would shine through: a
white rim about the iris, bright flesh where the mouth is dark. Seen again in its own pose, a texel that took
the footage as it is is right wherever it appears.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..head import HeadModel
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, TEETH, HeadAtlas
from .texels import TexelTable
from .unproject import Unprojector

Array = np.ndarray

INNER = (EYE_LEFT, EYE_RIGHT, TEETH, MOUTH)
"""Charts behind lids and lips."""


class _NoCovers:
    """Lids and lips that hide nothing."""

    def hide(self, seen: Array, places: Array, zoom: float) -> None:
        """Leave what is seen as it is."""


class SeeThrough(Unprojector):
    """An unprojector to which nothing hides the inner charts, and which knows no bad angle on them."""

    def __init__(self, model: HeadModel, atlas: HeadAtlas, size: int) -> None:
        """`size` as for `Unprojector`."""
        super().__init__(model, atlas, size)
        self._covers = _NoCovers()
        self._inner: Array | None = None
        self._atlas = atlas

    def _free(self, slow: Array, places: Array, zoom: float, shape: tuple[int, ...]) -> Array:
        free, inner = super()._free(slow, places, zoom, shape), self._inner_of(slow.shape[0])
        x, y = slow[inner, 0], slow[inner, 1]
        within = (x > 0) & (y > 0) & (x < shape[1]) & (y < shape[0])
        free[inner] = np.where(within, np.uint8(255), np.uint8(0))
        return free

    def _seen(self, facing: Array, free: Array) -> Array:
        inner = self._inner_of(facing.shape[0])
        return super()._seen(np.where(inner, np.float32(1.0), facing), free)

    def _inner_of(self, side: int) -> Array:
        """(side, side) bool: the inner charts, and the texels between charts that are nearest to them."""
        if self._inner is None:
            from scipy.ndimage import distance_transform_edt

            table = TexelTable.of(self._atlas, side)
            nearest: Any = distance_transform_edt(~table.inside, return_distances=False, return_indices=True)
            row, column = nearest
            self._inner = np.isin(table.chart[row, column], INNER)
        return self._inner
