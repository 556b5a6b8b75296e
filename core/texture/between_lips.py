# SPDX-License-Identifier: GPL-3.0-or-later
"""What of teeth and mouth a picture shows between the lips.

A face track paints them with whatever the footage shows at their place (`see_through`), which in most
pictures is a lip. That is right in the picture's own pose only: whoever learns from a track must know it.
"""

from __future__ import annotations

import copy

import numpy as np

from ..errors import ModelError
from ..head.atlas import MOUTH, TEETH, HeadAtlas
from ..head.embedding import load_embedding
from .face_regions import within
from .lattice import continued
from .posed import PosedHead
from .texels import TexelTable

Array = np.ndarray

OPENING = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
"""Landmarks along the inner edge of the lips."""
_HEIGHT, _WIDTH = (13, 14), (78, 308)
_TOUCHING = 0.03
"""Height over width of the opening between lips that touch: the landmarks lie a little outside."""
_BELIEVED = 0.95
"""Share of a wide opening: fitted lips are a pixel or two off."""
_CELL = 1.5
"""px of the squares in which the foremost texels are looked for."""
_BEHIND = 0.004
"""Metres behind the foremost one at which a texel counts as hidden: the thickness of a tooth."""


class BetweenLips:
    """Tells which texels of the inner mouth are seen. For one thread."""

    def __init__(self, head: PosedHead, atlas: HeadAtlas, size: int) -> None:
        """size: side of the atlas in texels. ModelError for a model without landmarks."""
        self._head = copy.copy(head)
        self._lips = load_embedding(head.model)
        texels, triangle, shares = continued(TexelTable.of(atlas, size))
        inner = np.isin(atlas.triangle_chart[triangle], (TEETH, MOUTH))
        self.texels = texels[inner]
        """(n,) flat indices, rising, of what is told about: the charts and two texels around them."""
        self._corners, self._shares = atlas.triangles[triangle[inner]], shares[inner]

    @staticmethod
    def of(head: PosedHead, atlas: HeadAtlas, size: int) -> BetweenLips | None:
        """None where nobody can tell."""
        try:
            return BetweenLips(head, atlas, size)
        except ModelError:
            return None

    def seen(self, sample: int) -> Array:
        """(n,) bool: between the lips of a sample, with nothing of the mouth before it."""
        camera, vertices = self._head.camera, self._head.vertices(sample)
        lips = self._lips.points(vertices)
        opening = camera.project(lips[list(OPENING)], sample)
        share = believed(lips)
        if share <= 0.0:
            return np.zeros(len(self.texels), bool)
        opening = lowered(opening, share)
        points = np.einsum("nk,nkd->nd", self._shares, vertices[self._corners])
        px = camera.project(points, sample)
        found = ((px >= opening.min(axis=0)) & (px <= opening.max(axis=0))).all(axis=1)
        found[found] = within(px[found], opening)
        found[found] = foremost(px[found], -points[found, 2])
        return found


def believed(lips: Array) -> float:
    """Share of the opening's height that shows the mouth: 0 where the lips ((478, 3) m) touch."""
    height, width = (float(np.linalg.norm(lips[a] - lips[b])) for a, b in (_HEIGHT, _WIDTH))
    return _BELIEVED * max(0.0, 1.0 - _TOUCHING * width / max(height, 1e-6))


def lowered(opening: Array, share: float) -> Array:
    """An outline (20, 2) along `OPENING` with a share of its height."""
    away = opening - opening.mean(axis=0)
    across = opening[OPENING.index(_WIDTH[1])] - opening[OPENING.index(_WIDTH[0])]
    up = np.array([-across[1], across[0]]) / max(float(np.linalg.norm(across)), 1e-6)
    return opening - (1.0 - share) * np.outer(away @ up, up)


def foremost(px: Array, depth: Array) -> Array:
    """(n,) bool: no other point (n, 2) lies in the same small square and clearly before it; depth: (n,) m."""
    if not len(px):
        return np.zeros(0, bool)
    cell = np.floor((px - px.min(axis=0)) / _CELL).astype(np.int64)
    number = cell[:, 1] * (int(cell[:, 0].max()) + 1) + cell[:, 0]
    nearest = np.full(int(number.max()) + 1, np.inf)
    np.minimum.at(nearest, number, depth)
    return depth < nearest[number] + _BEHIND
