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
        x, y = (self._points @ axis for axis in px.astype(np.float32).T.copy())
        height, width = picture.shape[:2]
        texels, within = self._texels, (x > 0) & (y > 0) & (x < width) & (y < height)
        if not within.all():
            x, y, texels = x[within], y[within], texels[within]
        found.rgb.reshape(-1, 3)[texels] = _looked_up(picture, x, y, found.density)
        found.weight.reshape(-1)[texels] = 255
        return found


def _looked_up(picture: Array, x: Array, y: Array, density: float) -> Array:
    """(k, 3) uint8 of the picture at places (k,) px, from a smaller copy where texels are far apart in it.

    density: px per texel.
    """
    import cv2

    if not len(x):
        return np.zeros((0, 3), np.uint8)
    left, top = max(int(x.min()) - 2, 0), max(int(y.min()) - 2, 0)
    part, shrunk = picture[top : int(y.max()) + 3, left : int(x.max()) + 3], (1.0, 1.0)
    if density > 1.5:
        height, width = part.shape[:2]
        size = max(round(width / density), 1), max(round(height / density), 1)
        part, shrunk = (
            cv2.resize(part, size, interpolation=cv2.INTER_AREA),
            (size[0] / width, size[1] / height),
        )
    lines = -(-len(x) // _LINE)
    where = np.zeros((2, lines * _LINE), np.float32)
    where[0, : len(x)] = (x - np.float32(left)) * np.float32(shrunk[0]) - np.float32(0.5)
    where[1, : len(y)] = (y - np.float32(top)) * np.float32(shrunk[1]) - np.float32(0.5)
    columns, rows = where.reshape(2, lines, _LINE)
    part = np.ascontiguousarray(part)
    seen = cv2.remap(part, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen.reshape(-1, 3)[: len(x)]
