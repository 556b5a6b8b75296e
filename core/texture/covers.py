# SPDX-License-Identifier: GPL-3.0-or-later
"""Lids over eyes, lips over teeth, teeth over the tongue: what is hidden within a texel or two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, SKIN, TEETH, HeadAtlas
from .lattice import continued, sparse_points
from .texels import TexelTable
from .visibility import Grid, Occluder

Array = np.ndarray

LIP_SPACING, LID_SPACING, PROBE_SPACING = 0.0007, 0.0005, 0.0015
"""Metres between the points that hide, of lips and teeth, and of lids; and between those by which it is told
whether a mouth is open.
"""
LIPS, LIDS, GUMS = 0.016, 0.008, 0.006
"""Metres around the teeth within which skin before them may be lips, from the eyes within which it may be
lids, and from the teeth within which the inside of the mouth is seen first when it opens.
"""
SOFT = 0.002
"""Share of the texture's side over which weights fall at the edges of lids and lips: a quarter of a mm."""
MOST_PIECES = 9
"""Of a chart, each of which has its own part of the map."""


@dataclass(frozen=True, eq=False)
class Cover:
    """Texels of some charts that something close before them may hide."""

    part: tuple[slice, slice]
    """Rows and columns of the half-size map that hold them."""
    texels: Array
    """(k,) int places within that part."""
    points: Any
    """(k, n) sparse."""
    occluders: tuple[Occluder, ...]
    behind: float
    """Metres that a texel may lie behind an occluder and still be seen; negative: what lies so far behind the
    texel hides it too, for lids that are fitted through an eyeball."""


class Covers:
    """All covers of a head, for one size of texture."""

    def __init__(self, atlas: HeadAtlas, size: int, triangles: Array, rest: Array) -> None:
        """`size`: of the half-size map; `triangles` (m, 3) those of the atlas as indices into `rest` ((n, 3)
        metres).
        """
        own = {chart: triangles[atlas.triangle_chart == chart] for chart in range(SKIN, MOUTH + 1)}
        lips, teeth, mouth = (
            Occluder.of(part, rest, LIP_SPACING)
            for part in (_around(own[SKIN], own[TEETH], rest, LIPS), own[TEETH], own[MOUTH])
        )
        first = np.concatenate([own[TEETH], _near(own[MOUTH], own[TEETH], rest, GUMS)])
        self._lips, self._probe = lips, Occluder.of(first, rest, PROBE_SPACING)
        pieces = _Pieces(atlas, size)
        self._mouth = pieces.covers(TEETH, (lips,), 0.001) + pieces.covers(MOUTH, (lips, teeth, mouth), 0.003)
        self._eyes = []
        for eye in (EYE_LEFT, EYE_RIGHT):
            lids = Occluder.of(_near(own[SKIN], own[eye], rest, LIDS), rest, LID_SPACING)
            self._eyes += pieces.covers(eye, (lids,), -0.0015)
        self._soft = 2 * round(2 * SOFT * size) + 1

    def hide(self, seen: Array, places: Array, zoom: float) -> None:
        """Take the weights ((size, size) uint8) from texels under a cover, softly from its edge on, in place.

        `places`: (n, 3) float32 px and depth of each point; `zoom`: px per metre at the head.
        """
        import cv2

        grids: dict[int, Grid | None] = {}
        shut = self._mouth_is_shut(places, zoom, grids)
        for cover in self._mouth + self._eyes:
            weights = seen[cover.part]
            if not weights.any():
                continue
            if shut and cover in self._mouth:
                free = np.full(weights.shape, 255, np.uint8)
                free.reshape(-1)[cover.texels] = 0
            else:
                free = cv2.blur(_uncovered(weights, cover, places, zoom, grids), (self._soft, self._soft))
            seen[cover.part] = cv2.multiply(weights, cv2.subtract(free, 255 - free), scale=1 / 255)

    def _mouth_is_shut(self, places: Array, zoom: float, grids: dict[int, Grid | None]) -> bool:
        grid = grids[id(self._lips)] = self._lips.grid(places, zoom)
        return grid is not None and bool(grid.hides(self._probe.points @ places, 0.001).all())


def _around(triangles: Array, others: Array, vertices: Array, margin: float) -> Array:
    """Those of `triangles` with a corner before `others` or beside them, by up to `margin` metres, head
    frame: lips are as thick as they are.
    """
    if not len(triangles) or not len(others):
        return triangles[:0]
    points = vertices[np.unique(others)]
    low = points.min(axis=0) - np.array([margin, margin, 0.0])
    high = points.max(axis=0) + np.array([margin, margin, np.inf])
    within = np.all((vertices >= low) & (vertices <= high), axis=1)
    return triangles[within[triangles].any(axis=1)]


def _near(triangles: Array, others: Array, vertices: Array, reach: float) -> Array:
    """Those of `triangles` with a corner within `reach` metres of a corner of `others`."""
    from scipy.spatial import KDTree

    if not len(triangles) or not len(others):
        return triangles[:0]
    found, _ = KDTree(vertices[np.unique(others)]).query(vertices[triangles].reshape(-1, 3))
    return triangles[(found.reshape(-1, 3) < reach).any(axis=1)]


class _Pieces:
    """The half-size map by charts and the pieces that they lie in."""

    def __init__(self, atlas: HeadAtlas, size: int) -> None:
        table = TexelTable.of(atlas, size)
        self._size, rows = size, np.unique(atlas.triangles)
        self._texels, triangle, self._weights = continued(table)
        self._corners = np.searchsorted(rows, table.triangles[triangle])
        self._charts, self._count = atlas.triangle_chart[triangle], len(rows)

    def covers(self, chart: int, occluders: tuple[Occluder, ...], behind: float) -> list[Cover]:
        """One for each piece of a chart; many small pieces are one."""
        return [self._cover(own, occluders, behind) for own in self._own(chart)]

    def _own(self, chart: int) -> list[Array]:
        import cv2

        mask = np.zeros(self._size**2, np.uint8)
        mask[self._texels[self._charts == chart]] = 1
        _, labels = cv2.connectedComponents(mask.reshape(self._size, self._size))
        own = np.where(self._charts == chart, labels.reshape(-1)[self._texels], 0)
        if own.max() > MOST_PIECES:
            own = np.minimum(own, 1)
        return [np.flatnonzero(own == label) for label in range(1, own.max() + 1)]

    def _cover(self, own: Array, occluders: tuple[Occluder, ...], behind: float) -> Cover:
        row, column = np.divmod(self._texels[own], self._size)
        top, left, bottom, right = (
            int(k) for k in (row.min(), column.min(), row.max() + 1, column.max() + 1)
        )
        places = (row - top) * (right - left) + column - left
        points = sparse_points(self._corners[own], self._weights[own], self._count)
        return Cover((slice(top, bottom), slice(left, right)), places, points, occluders, behind)


def _uncovered(
    weights: Array, cover: Cover, places: Array, zoom: float, grids: dict[int, Grid | None]
) -> Array:
    """(h, w) uint8: 0 at texels that lie under a cover, else 255. `grids`: those of this picture so far."""
    own = cover.points @ places
    free = np.full(weights.shape, 255, np.uint8)
    for occluder in cover.occluders:
        if id(occluder) not in grids:
            grids[id(occluder)] = occluder.grid(places, zoom)
        grid = grids[id(occluder)]
        if grid is not None:
            free.reshape(-1)[cover.texels[grid.hides(own, cover.behind)]] = 0
    return free
