# SPDX-License-Identifier: GPL-3.0-or-later
"""From a picture of a head to its texture: what each texel of the atlas shows in it, and how well it is seen.

Where a texel lies in the picture is computed for every second texel by one sparse product and is linear
between; how it faces the camera, for every fourth; whether the head hides it, on a grid as coarse as fits are
exact. Lids over eyes and lips over teeth are matters of a texel and have depth pictures of their own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..camera import Camera
from ..head import HeadModel
from ..head.atlas import MOUTH, TEETH, HeadAtlas
from .covers import Covers
from .lattice import continued
from .lookup import looked_up
from .normals import SurfaceNormals
from .posed import local_polygons
from .texels import TexelTable
from .visibility import CELL, Grid, Occluder

Array = np.ndarray

SPACING = 0.0025
"""Metres between the points of the head that hide others."""
GRAZING, FULL = 0.1, 0.65
"""Cosines of the angle between normal and view from which a texel counts, and from which it counts in full.
"""
AWAY = -0.2
"""The cosine up to which texels that face away still tell how free the view of their neighbours is."""
BEHIND = 0.003
"""Metres that a texel may lie behind the nearest surface and still be seen, where that faces the camera."""
INSIDE = 0.035
"""The same for the inside of a mouth."""
BESIDE = 0.010
"""The same for a surface that is a cell away: behind a jaw or a nose that may be fitted a little off."""
_LEVELS = 127.5
"""Cosines are kept as bytes, in so many steps to one."""
_WELL = 0.4
"""The cosine from which a texel counts when the size of texels is judged."""
_COARSE = 128
"""Side of the grid on which it is computed what the head hides: some 3 mm of a face from point to point."""
_FAINT = 5
"""Weights up to this are none: texels that nobody would miss."""
_STEP = 64
"""Sizes are multiples of it."""


class Unprojected(NamedTuple):
    """One picture in the atlas."""

    rgb: Array
    """(S, S, 3) uint8; of no meaning where the weight is 0."""
    weight: Array
    """(S, S) uint8: 0 not seen, 255 seen from the front. Soft towards silhouettes and what hides."""
    density: float
    """px of the picture per texel, the median of what is seen; 0 when nothing is."""


class Unprojector:
    """Unprojects pictures of any person of a head model into the atlas at one size. Make it once."""

    def __init__(self, model: HeadModel, atlas: HeadAtlas, size: int, wanted: Array | None = None) -> None:
        """`size` S: texels along a side, a multiple of 64. `wanted`: (S / 2, S / 2) bool, the texels of
        interest: of others nothing is seen; by default all.
        """
        if size % _STEP or size <= 0:
            raise ValueError(f"the size of a texture is {size}; it must be a multiple of {_STEP}")
        self.size = size
        self.table = TexelTable.of(atlas, size)
        self.rows = np.unique(atlas.triangles)
        self._surface = SurfaceNormals.of(local_polygons(model, atlas, self.rows), len(self.rows))
        self._wanted = None if wanted is None else np.where(wanted, np.uint8(255), np.uint8(0))
        self._map = self._grid_points(atlas, size // 2, wanted)
        self._turned = self._grid_points(atlas, size // 4)
        self._coarse = self._grid_points(atlas, min(size // 4, _COARSE))
        self._inside = np.where(self.table.inside, np.uint8(255), np.uint8(0))
        rest = model.rest(model.identity_coefficients()).vertices[self.rows]
        triangles = np.searchsorted(self.rows, atlas.triangles)
        self._head = Occluder.of(triangles, rest, SPACING)
        self._excused = _excused(atlas, min(size // 4, _COARSE))
        self._covers = Covers(atlas, size // 2, triangles, rest)

    def unproject(
        self, picture: Array, camera: Camera, row: int, vertices: Array, normals: Array | None = None
    ) -> Unprojected:
        """`picture`: (H, W, 3) uint8, upright, all of what camera row `row` saw, at any scale. `vertices`:
        (V, 3) metres, view frame; the rows of the atlas count. `normals`: (n, 3) unit, of these rows, where
        they are known.
        """
        import cv2

        picture = np.ascontiguousarray(picture)
        points = np.asarray(vertices, np.float32)[self.rows]
        scale = picture.shape[1] / float(camera.size[row, 0])
        places, zoom = _projected(points, camera, row, scale)
        facing = _cosines(self._surface.unit(points) if normals is None else normals, points)
        coarse = self._coarse @ np.column_stack([places, facing])
        free = self._free(coarse, places, zoom, picture.shape)
        density = _density(coarse, free, self.size)
        half = self._seen(self._turned @ facing, free)
        self._hide(half, places, zoom, picture.shape)
        if self._wanted is not None:
            cv2.bitwise_and(half, self._wanted, dst=half)
        rgb = looked_up(picture, self._map, places, half, density)
        full = cv2.resize(half, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        return Unprojected(rgb, cv2.bitwise_and(full, self._inside), density)

    def _grid_points(self, atlas: HeadAtlas, size: int, wanted: Array | None = None) -> Any:
        """(size * size, n) sparse: the point of every texel of a smaller grid; rows outside, and of what is
        not `wanted` ((size, size) bool) nor beside it, are empty.
        """
        import cv2
        from scipy import sparse

        texels, triangle, weights = continued(TexelTable.of(atlas, size))
        if wanted is not None:
            near = cv2.dilate(wanted.astype(np.uint8), np.ones((5, 5), np.uint8)).ravel()[texels] > 0
            texels, triangle, weights = texels[near], triangle[near], weights[near]
        filled = np.zeros(size * size + 1, np.int32)
        filled[texels + 1] = 3
        columns = np.searchsorted(self.rows, atlas.triangles[triangle]).astype(np.int32).ravel()
        data = weights.astype(np.float32).ravel()
        starts = np.cumsum(filled, dtype=np.int32)
        return sparse.csr_matrix((data, columns, starts), (size * size, len(self.rows)))

    def _hide(self, half: Array, places: Array, zoom: float, shape: tuple[int, ...]) -> None:
        """Take weights ((S / 2, S / 2) uint8) from what is hidden by lids and lips, in place."""
        self._covers.hide(half, places, zoom)

    def _free(self, coarse: Array, places: Array, zoom: float, shape: tuple[int, ...]) -> Array:
        """(c, c) uint8: how free the view of each texel of the coarse grid ((c * c, 4) px, depth, facing) is;
        255 where they face away for good.
        """
        side = round(len(coarse) ** 0.5)
        front = np.flatnonzero(coarse[:, 3] > AWAY)
        own = coarse.take(front, axis=0)
        own[:, 2] -= self._excused.take(front)
        inside = _within(own, shape)
        unhidden: Array | float = 1.0
        grid = self._head.grid(places, zoom)
        if grid is not None:
            unhidden, within = _unhidden(own, grid)
            inside *= within
        free, outside = np.full(side * side, 255, np.uint8), np.zeros(side * side, np.uint8)
        free[front] = inside * unhidden * np.float32(255)
        outside[front] = inside <= 0
        return _softened(free.reshape(side, side), outside.reshape(side, side))

    def _seen(self, facing: Array, free: Array) -> Array:
        """(S / 2, S / 2) uint8: how well texels are seen; `facing` ((S * S / 16,)) is taken up to this size
        before it is judged, so that weights end where lids and lips fold inwards.
        """
        import cv2

        half, side = (self.size // 2, self.size // 2), self.size // 4
        levels = cv2.convertScaleAbs(facing.reshape(side, side), alpha=_LEVELS, beta=_LEVELS)
        seen = cv2.LUT(cv2.resize(levels, half, interpolation=cv2.INTER_LINEAR), _facing_table())
        seen = cv2.multiply(seen, cv2.resize(free, half, interpolation=cv2.INTER_LINEAR), scale=1 / 255)
        return cv2.threshold(seen, _FAINT, 0, cv2.THRESH_TOZERO)[1]


def _projected(points: Array, camera: Camera, row: int, scale: float) -> tuple[Array, float]:
    """Where points ((n, 3) metres, view frame) are in a picture `scale` times as large as was shown: (n, 3)
    float32 px and depth, and its px per metre in the middle of them.
    """
    depth = np.maximum(-points[:, 2], np.float32(1e-3))
    focal = np.float32(camera.focal[row] * scale)
    centre = (camera.centre[row] * scale).astype(np.float32)
    near = focal / depth
    places = np.stack([points[:, 0] * near + centre[0], centre[1] - points[:, 1] * near, depth], axis=1)
    return places, float(focal / depth.mean())


def _cosines(normals: Array, points: Array) -> Array:
    """(n,) of the angle between each unit normal ((n, 3)) and the direction from its point to the camera."""
    across, along = (np.einsum("nk,nk->n", a, points) for a in (normals, points))
    return -across / np.sqrt(np.maximum(along, np.float32(1e-30)))


@lru_cache(maxsize=1)
def _facing_table() -> Array:
    """(256,) uint8 weights of cosines kept as bytes: 0 at `GRAZING`, 255 at `FULL`, smooth between."""
    cosine = np.arange(256) / _LEVELS - 1.0
    t = np.clip((cosine - GRAZING) / (FULL - GRAZING), 0, 1)
    return np.rint(255 * t * t * (3 - 2 * t)).astype(np.uint8)


def _within(own: Array, shape: tuple[int, ...]) -> Array:
    """(k,) 0 where a texel ((k, 4)) lies outside the picture ((H, W, ...) px), 1 from 3 px within on."""
    x, y = own[:, 0], own[:, 1]
    least = np.minimum(np.minimum(x, shape[1] - x), np.minimum(y, shape[0] - y))
    return np.clip((least - np.float32(1.0)) * np.float32(0.5), 0, 1)


def _unhidden(own: Array, grid: Grid) -> tuple[Array, Array]:
    """(k,) 0 where another part of the head lies before a texel ((k, 4)), 1 where it is free; (k,) 0 near
    the silhouette of the head, 1 well within.

    Within a cell a surface that is seen at an angle gets farther by the cell times the angle's tangent.
    """
    near, beside, inner = grid.at(own[:, :2])
    facing = np.maximum(own[:, 3], np.float32(GRAZING))
    slope = np.sqrt(np.maximum(1 - facing * facing, 0)) / facing
    behind = own[:, 2] - np.float32(CELL * SPACING) * slope
    free = np.minimum(near + np.float32(BEHIND) - behind, beside + np.float32(BESIDE) - behind)
    return np.clip(1 + free * np.float32(1 / BEHIND), 0, 1), inner


def _softened(free: Array, outside: Array) -> Array:
    """(h, w) uint8, softly less beside what is hidden, and nothing beside what is `outside` the head or the
    picture ((h, w) uint8, not 0): between two points of the grid, too, nothing is seen there.
    """
    import cv2

    _, clear = cv2.threshold(free, 0, 255, cv2.THRESH_BINARY)
    soft = cv2.blur(clear, (3, 3))
    soft = cv2.min(free, cv2.subtract(soft, 255 - soft))
    return np.where(cv2.dilate(outside, np.ones((3, 3), np.uint8)) > 0, np.uint8(0), soft)


def _excused(atlas: HeadAtlas, size: int) -> Array:
    """(size * size,) float32 metres that texels of a grid may lie behind the head besides: the inside of an
    open mouth lies so far behind lips, and the covers tell what of it is seen.
    """
    texels, triangle, _ = continued(TexelTable.of(atlas, size))
    found = np.zeros(size * size, np.float32)
    found[texels[np.isin(atlas.triangle_chart[triangle], (TEETH, MOUTH))]] = INSIDE
    return found


def _density(coarse: Array, free: Array, size: int) -> float:
    """Median px per texel of what faces the camera, by the areas between every second point of the grid."""
    some = coarse.reshape(*free.shape, 4)[::2, ::2]
    right, down = some[:-1, 1:, :2] - some[:-1, :-1, :2], some[1:, :-1, :2] - some[:-1, :-1, :2]
    area = np.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0])
    area = area[((free[::2, ::2] > 127) & (some[..., 3] > _WELL))[:-1, :-1]]
    return float(np.sqrt(np.median(area))) * len(free) / (2 * size) if len(area) else 0.0
