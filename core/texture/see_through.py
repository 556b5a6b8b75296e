# SPDX-License-Identifier: GPL-3.0-or-later
"""Unprojection for pictures that are shown in the pose they were seen in: eyes, teeth and mouth take whatever
the footage shows at their place, be it a lid or a lip.

A fitted lid is a pixel or two off, and our teeth are not the person's. Where the fit hides a part of an eye
that the footage shows, or opens a mouth a little more, a texel that stays as it was would shine through: a
white rim about the iris, bright flesh where the mouth is dark. Seen again in its own pose, a texel that took
the footage as it is is right wherever it appears.
"""

from __future__ import annotations

import numpy as np

from ..camera import Camera
from ..head import HeadModel
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, TEETH, HeadAtlas
from .lattice import continued, sparse_points
from .texels import TexelTable
from .unproject import Unprojected, Unprojector

Array = np.ndarray

INNER = (EYE_LEFT, EYE_RIGHT, TEETH, MOUTH)
"""Charts behind lids and lips."""
_LINE = 256
"""Texels are looked up in lines of so many: no side of what cv2 looks up may be longer than 32767."""


class SeeThrough(Unprojector):
    """An unprojector to which nothing hides the inner charts, and which knows no bad angle on them."""

    def __init__(self, model: HeadModel, atlas: HeadAtlas, size: int) -> None:
        """`size` as for `Unprojector`."""
        super().__init__(model, atlas, size)
        texels, triangle, weights = continued(TexelTable.of(atlas, size))
        inner = np.isin(atlas.triangle_chart[triangle], INNER)
        self._texels = texels[inner]
        corners = np.searchsorted(self.rows, atlas.triangles[triangle[inner]])
        self._points = sparse_points(corners, weights[inner], len(self.rows))

    def unproject(self, picture: Array, camera: Camera, row: int, vertices: Array) -> Unprojected:
        """As `Unprojector.unproject`; texels of the inner charts, and those beside them, have full weight
        wherever they lie in the picture.
        """
        found = super().unproject(picture, camera, row, vertices)
        scale = picture.shape[1] / float(camera.size[row, 0])
        px = scale * camera.project(np.asarray(vertices, np.float64)[self.rows], row)
        places = self._points @ px.astype(np.float32)
        height, width = picture.shape[:2]
        within = np.all((places > 0) & (places < (width, height)), axis=1)
        texels = self._texels[within]
        found.rgb.reshape(-1, 3)[texels] = _looked_up(picture, places[within], found.density)
        found.weight.reshape(-1)[texels] = 255
        return found


def _looked_up(picture: Array, places: Array, density: float) -> Array:
    """(k, 3) uint8 of the picture at places (k, 2) px, from a smaller copy where texels are far apart in it.

    density: px per texel.
    """
    import cv2

    if not len(places):
        return np.zeros((0, 3), np.uint8)
    low = np.maximum(np.floor(places.min(axis=0)).astype(int) - 2, 0)
    high = np.ceil(places.max(axis=0)).astype(int) + 2
    part, shrunk = picture[low[1] : high[1], low[0] : high[0]], np.ones(2, np.float32)
    if density > 1.5:
        size = np.maximum(np.rint(np.array(part.shape[1::-1]) / density), 1).astype(int)
        shrunk = (size / part.shape[1::-1]).astype(np.float32)
        part = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA)
    lines = -(-len(places) // _LINE)
    where = np.zeros((lines * _LINE, 2), np.float32)
    where[: len(places)] = (places - low) * shrunk - np.float32(0.5)
    x, y = np.ascontiguousarray(where.T).reshape(2, lines, _LINE)
    seen = cv2.remap(np.ascontiguousarray(part), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen.reshape(-1, 3)[: len(places)]
