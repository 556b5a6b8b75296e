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

from ..camera import Camera
from ..head import HeadModel
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, TEETH, HeadAtlas
from .texels import TexelTable
from .unproject import Unprojected, Unprojector

Array = np.ndarray

INNER = (EYE_LEFT, EYE_RIGHT, TEETH, MOUTH)
"""Charts behind lids and lips."""


class _Open:
    """Covers that hide nothing: lids and lips, and the angle at which the texels behind them are seen."""

    def __init__(self, atlas: HeadAtlas, size: int) -> None:
        """`size`: of the half-size map."""
        from scipy.ndimage import distance_transform_edt

        table = TexelTable.of(atlas, size)
        nearest: Any = distance_transform_edt(~table.inside, return_distances=False, return_indices=True)
        row, column = nearest
        self._inner = np.where(np.isin(table.chart[row, column], INNER), np.uint8(255), np.uint8(0))

    def hide(self, seen: Array, _places: Array, _zoom: float) -> None:
        """Let the inner charts, and the texels between charts that are nearest to them, be seen in full."""
        np.maximum(seen, self._inner, out=seen)


class SeeThrough(Unprojector):
    """An unprojector to which nothing hides the inner charts, and which knows no bad angle on them."""

    def __init__(self, model: HeadModel, atlas: HeadAtlas, size: int) -> None:
        """`size` as for `Unprojector`."""
        super().__init__(model, atlas, size)
        self._covers = _Open(atlas, size // 2)
        self._charts = [(chart, np.unique(atlas.triangles[atlas.triangle_chart == chart])) for chart in INNER]

    def unproject(self, picture: Array, camera: Camera, row: int, vertices: Array) -> Unprojected:
        """As `Unprojector.unproject`; an inner chart that the picture shows a part of only is not seen."""
        found = super().unproject(picture, camera, row, vertices)
        for chart, rows in self._charts:
            pixels = camera.project(np.asarray(vertices)[rows], row)
            if np.any((pixels < 0) | (pixels >= camera.size[row])):
                found.weight[self.table.chart == chart] = 0
        return found
