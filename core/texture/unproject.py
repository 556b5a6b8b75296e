# SPDX-License-Identifier: GPL-3.0-or-later
"""From a picture of a head to its texture: what each texel of the atlas shows in it, and how well it is seen.

Where a texel lies in the picture is computed for every second texel by one sparse product and is linear
between; how well it is seen changes slowly and is computed for every fourth. Lids over eyes and lips over
teeth are matters of a texel and have depth pictures of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..camera import Camera
from ..head import HeadModel
from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, SKIN, TEETH, HeadAtlas
from .lattice import continued, sparse_points
from .normals import SurfaceNormals
from .posed import local_polygons
from .texels import TexelTable
from .visibility import CELL, Grid, Occluder

Array = np.ndarray

SPACING, LIP_SPACING, LID_SPACING = 0.0025, 0.0007, 0.0005
"""Metres between the points that hide: of the head, of lips and teeth, of lids."""
GRAZING, FULL = 0.1, 0.65
"""Cosines of the angle between normal and view from which a texel counts, and from which it counts in full.
"""
AWAY = -0.2
"""The cosine up to which texels that face away still tell how free the view of their neighbours is."""
BEHIND = 0.003
"""Metres that a texel may lie behind the nearest surface and still be seen, where that faces the camera."""
BESIDE = 0.010
"""The same for a surface that is a cell away: behind a jaw or a nose that may be fitted a little off."""
MAGNIFIED = 1.5
"""px per texel from which the picture is made smaller first, so that no px is passed over."""
_LOWEST, _LEVELS = -0.5, 170.0
"""Cosines are kept as bytes: the lowest, and how many steps to one."""
_WELL = 0.4
"""The cosine from which a texel counts when the size of texels is judged."""
_SLOW, _SPARSE = 4, 4
"""Texels from one point to the next of the grid on which it is computed how well texels are seen; and points
from one to the next of those by which the size of texels is judged.
"""
_SOFT = 0.002
"""Share of the texture's side over which weights fall at the edges of lids and lips: a quarter of a mm."""
_STEP = 64
"""Sizes are multiples of it."""
_MOST_PIECES = 9
"""Of a chart, each of which has its own part of the map."""
_STRIP, _BLOCK = 16, 8
"""Rows of the half-size map that are looked up together, so that they stay in the processor's cache, and
columns that are left out together: as many as bytes in a word.
"""


class Unprojected(NamedTuple):
    """One picture in the atlas."""

    rgb: Array
    """(S, S, 3) uint8; of no meaning where the weight is 0."""
    weight: Array
    """(S, S) uint8: 0 not seen, 255 seen from the front. Soft towards silhouettes and what hides."""
    density: float
    """px of the picture per texel, the median of what is seen; 0 when nothing is."""


@dataclass(frozen=True)
class _Cover:
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


class Unprojector:
    """Unprojects pictures of any person of a head model into the atlas at one size. Make it once."""

    def __init__(self, model: HeadModel, atlas: HeadAtlas, size: int) -> None:
        """`size` S: texels along a side, a multiple of 64."""
        if size % _STEP or size <= 0:
            raise ValueError(f"the size of a texture is {size}; it must be a multiple of {_STEP}")
        self.size = size
        self.table = TexelTable.of(atlas, size)
        self.rows = np.unique(atlas.triangles)
        self._surface = SurfaceNormals.of(local_polygons(model, atlas, self.rows), len(self.rows))
        self._map = self._grid_points(atlas, size // 2)
        self._slow = self._grid_points(atlas, size // _SLOW)
        self._inside = np.where(self.table.inside, np.uint8(255), np.uint8(0))
        rest = model.rest(model.identity_coefficients()).vertices[self.rows]
        triangles = np.searchsorted(self.rows, atlas.triangles)
        self._head = Occluder.of(triangles[atlas.triangle_chart == SKIN], rest, SPACING)
        self._covers = _covers(atlas, TexelTable.of(atlas, size // 2), triangles, rest)

    def unproject(self, picture: Array, camera: Camera, row: int, vertices: Array) -> Unprojected:
        """`picture`: (H, W, 3) uint8, upright, all of what camera row `row` saw, at any scale. `vertices`:
        (V, 3) metres, view frame; the rows of the atlas count.
        """
        import cv2

        points = np.asarray(vertices, np.float32)[self.rows]
        scale = picture.shape[1] / float(camera.size[row, 0])
        places, zoom = _projected(points, camera, row, scale)
        side = self.size // _SLOW
        slow = (self._slow @ np.column_stack([places, self._facing(points)])).reshape(side, side, 4)
        free = self._free(slow, places, zoom, picture.shape)
        density = _density(slow, free)
        half = self._seen(slow[..., 3], free, places, zoom)
        rgb = self._looked_up(picture, places, _runs(half), density)
        full = cv2.resize(half, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        return Unprojected(rgb, cv2.bitwise_and(full, self._inside), density)

    def _grid_points(self, atlas: HeadAtlas, size: int) -> Any:
        """(size * size, n) sparse: the point of every texel of a smaller grid; rows outside are empty."""
        from scipy import sparse

        texels, triangle, weights = continued(TexelTable.of(atlas, size))
        filled = np.zeros(size * size + 1, np.int32)
        filled[texels + 1] = 3
        columns = np.searchsorted(self.rows, atlas.triangles[triangle]).astype(np.int32).ravel()
        data = weights.astype(np.float32).ravel()
        starts = np.cumsum(filled, dtype=np.int32)
        return sparse.csr_matrix((data, columns, starts), (size * size, len(self.rows)))

    def _facing(self, points: Array) -> Array:
        """(n,) cosine of the angle between each point's normal and the direction to the camera."""
        across = np.einsum("nk,nk->n", self._surface.unit(points), points)
        return -across / np.sqrt(np.einsum("nk,nk->n", points, points))

    def _free(self, slow: Array, places: Array, zoom: float, shape: tuple[int, ...]) -> Array:
        """(S / 4, S / 4) uint8: how free the view of each texel of the slow grid is; 255 where they face
        away for good.
        """
        side = len(slow)
        flat = slow.reshape(-1, 4)
        front = np.flatnonzero(flat[:, 3] > AWAY)
        own = flat.take(front, axis=0)
        value = _within(own, shape)
        grid = self._head.grid(places, zoom)
        if grid is not None:
            value *= _unhidden(own, grid)
        free = np.full(side * side, 255, np.uint8)
        free[front] = value * np.float32(255)
        return _shrunk(free.reshape(side, side))

    def _seen(self, facing: Array, free: Array, places: Array, zoom: float) -> Array:
        """(S / 2, S / 2) uint8: how well texels are seen; `facing` ((S / 4, S / 4)) is taken up to this size
        before it is judged, so that weights end where lids and lips fold inwards.
        """
        import cv2

        half = (self.size // 2, self.size // 2)
        levels = np.clip(facing * _LEVELS + _LEVELS * -_LOWEST, 0, 255).astype(np.uint8)
        seen = cv2.LUT(cv2.resize(levels, half, interpolation=cv2.INTER_LINEAR), _facing_table())
        seen = cv2.multiply(seen, cv2.resize(free, half, interpolation=cv2.INTER_LINEAR), scale=1 / 255)
        grids: dict[int, Grid | None] = {}
        soft = 2 * round(_SOFT * self.size) + 1
        for cover in self._covers:
            weights = seen[cover.part]
            if weights.any():
                open_ = cv2.blur(_uncovered(weights.shape, cover, places, zoom, grids), (soft, soft))
                seen[cover.part] = cv2.multiply(weights, cv2.subtract(open_, 255 - open_), scale=1 / 255)
        return seen

    def _looked_up(
        self, picture: Array, places: Array, runs: list[tuple[slice, slice]], density: float
    ) -> Array:
        """(S, S, 3) uint8: the picture at the texels of the `runs`, which are of the half-size map."""
        import cv2

        rgb = np.zeros((self.size, self.size, 3), np.uint8)
        if not runs:
            return rgb
        side = self.size // 2
        low, high = max(runs[0][0].start - 1, 0), min(runs[-1][0].stop + 1, side)
        matrix = _rows_of(self._map, low * side, high * side)
        picture, shrunk, corner = _prepared(picture, places, density)
        fine = []
        for axis in (0, 1):
            px = places[:, axis] / np.float32(shrunk) - np.float32(corner[axis] / shrunk + 0.5)
            half = (matrix @ px).reshape(-1, side)
            fine.append(cv2.resize(half, (self.size, 2 * len(half)), interpolation=cv2.INTER_LINEAR))
        for rows, columns in runs:
            across = slice(2 * columns.start, 2 * columns.stop)
            own = slice(2 * (rows.start - low), 2 * (rows.stop - low)), across
            where, between = cv2.convertMaps(fine[0][own], fine[1][own], cv2.CV_16SC2)
            part = rgb[2 * rows.start : 2 * rows.stop, across]
            cv2.remap(picture, where, between, cv2.INTER_LINEAR, dst=part, borderMode=cv2.BORDER_REPLICATE)
        return rgb


def _projected(points: Array, camera: Camera, row: int, scale: float) -> tuple[Array, float]:
    """Where points ((n, 3) metres, view frame) are in a picture `scale` times as large as was shown: (n, 3)
    float32 px and depth, and its px per metre in the middle of them.
    """
    depth = np.maximum(-points[:, 2], np.float32(1e-3))
    focal = np.float32(camera.focal[row] * scale)
    centre = (camera.centre[row] * scale).astype(np.float32)
    near = focal / depth
    places = np.stack([points[:, 0] * near + centre[0], centre[1] - points[:, 1] * near, depth], axis=1)
    return places, float(focal / np.median(depth))


@lru_cache(maxsize=1)
def _facing_table() -> Array:
    """(256,) uint8 weights of cosines kept as bytes: 0 at `GRAZING`, 255 at `FULL`, smooth between."""
    cosine = np.arange(256) / _LEVELS + _LOWEST
    t = np.clip((cosine - GRAZING) / (FULL - GRAZING), 0, 1)
    return np.rint(255 * t * t * (3 - 2 * t)).astype(np.uint8)


def _within(own: Array, shape: tuple[int, ...]) -> Array:
    """(k,) 0 where a texel ((k, 4)) lies outside the picture ((H, W, ...) px), 1 from 3 px within on."""
    x, y = own[:, 0], own[:, 1]
    least = np.minimum(np.minimum(x, shape[1] - x), np.minimum(y, shape[0] - y))
    return np.clip((least - np.float32(1.0)) * np.float32(0.5), 0, 1)


def _unhidden(own: Array, grid: Grid) -> Array:
    """(k,) 0 where another part of the head lies before a texel ((k, 4)) or the silhouette is near, 1 where
    it is free.

    Within a cell a surface that is seen at an angle gets farther by the cell times the angle's tangent.
    """
    near, beside, inner = grid.at(own[:, :2])
    facing = np.maximum(own[:, 3], np.float32(GRAZING))
    slope = np.sqrt(np.maximum(1 - facing * facing, 0)) / facing
    behind = own[:, 2] - np.float32(CELL * SPACING) * slope
    free = np.minimum(near + np.float32(BEHIND) - behind, beside + np.float32(BESIDE) - behind)
    return np.clip(1 + free * np.float32(1 / BEHIND), 0, 1) * inner


def _shrunk(free: Array) -> Array:
    """(h, w) uint8, softly less beside a 0: nothing hidden may be seen between two points of the grid."""
    import cv2

    _, clear = cv2.threshold(free, 0, 255, cv2.THRESH_BINARY)
    clear = cv2.blur(cv2.erode(clear, np.ones((5, 5), np.uint8)), (3, 3))
    return cv2.min(free, clear)


def _covers(atlas: HeadAtlas, table: TexelTable, triangles: Array, rest: Array) -> list[_Cover]:
    """Eyes under lids, teeth behind lips, the mouth behind lips and teeth."""
    own = {chart: triangles[atlas.triangle_chart == chart] for chart in (SKIN, EYE_LEFT, EYE_RIGHT, TEETH)}
    lips = Occluder.of(_near(own[SKIN], own[TEETH], rest, 0.014), rest, LIP_SPACING)
    teeth = Occluder.of(own[TEETH], rest, LIP_SPACING)
    wanted: list[tuple[int, tuple[Occluder, ...], float]] = [
        (TEETH, (lips,), 0.001),
        (MOUTH, (lips, teeth), 0.002),
    ]
    for eye in (EYE_LEFT, EYE_RIGHT):
        lids = Occluder.of(_near(own[SKIN], own[eye], rest, 0.008), rest, LID_SPACING)
        wanted.append((eye, (lids,), -0.0015))
    rows = np.unique(atlas.triangles)
    texels, triangle, weights = continued(table)
    corners, charts = table.triangles[triangle], atlas.triangle_chart[triangle]
    covers = []
    for chart, occluders, behind in wanted:
        for chosen in _pieces(texels, charts == chart, table.size):
            part, places = _bounds(texels[chosen], table.size)
            points = sparse_points(np.searchsorted(rows, corners[chosen]), weights[chosen], len(rows))
            covers.append(_Cover(part, places, points, occluders, behind))
    return covers


def _near(triangles: Array, others: Array, vertices: Array, reach: float) -> Array:
    """Those of `triangles` with a corner within `reach` metres of a corner of `others`."""
    from scipy.spatial import KDTree

    if not len(triangles) or not len(others):
        return triangles[:0]
    found, _ = KDTree(vertices[np.unique(others)]).query(vertices[triangles].reshape(-1, 3))
    return triangles[(found.reshape(-1, 3) < reach).any(axis=1)]


def _pieces(texels: Array, chosen: Array, side: int) -> list[Array]:
    """The `chosen` of some texels ((k,) of a map of `side`), as indices, by the pieces they lie in. Many
    small pieces are one.
    """
    import cv2

    mask = np.zeros(side * side, np.uint8)
    mask[texels[chosen]] = 1
    count, labels = cv2.connectedComponents(mask.reshape(side, side))
    own = np.where(chosen, labels.reshape(-1)[texels], 0)
    if count > _MOST_PIECES:
        own = np.minimum(own, 1)
    return [np.flatnonzero(own == label) for label in range(1, own.max() + 1)]


def _bounds(texels: Array, side: int) -> tuple[tuple[slice, slice], Array]:
    """The part of a map of `side` texels that holds some ((k,) int), and their places within it."""
    row, column = np.divmod(texels, side)
    top, left, bottom, right = row.min(), column.min(), row.max() + 1, column.max() + 1
    places = (row - top) * (right - left) + column - left
    return (slice(int(top), int(bottom)), slice(int(left), int(right))), places


def _uncovered(
    shape: tuple[int, ...], cover: _Cover, places: Array, zoom: float, grids: dict[int, Grid | None]
) -> Array:
    """(h, w) uint8: 0 at texels that lie under a cover, else 255. `grids`: those of this picture so far."""
    own = cover.points @ places
    free = np.full(shape, 255, np.uint8)
    for occluder in cover.occluders:
        if id(occluder) not in grids:
            grids[id(occluder)] = occluder.grid(places, zoom)
        grid = grids[id(occluder)]
        if grid is not None:
            free.reshape(-1)[cover.texels[grid.hides(own, cover.behind)]] = 0
    return free


def _density(slow: Array, free: Array) -> float:
    """Median px per texel of what faces the camera, by the areas between points of the slow grid."""
    some, step = slow[::_SPARSE, ::_SPARSE, :2], _SLOW * _SPARSE
    right, down = some[:-1, 1:] - some[:-1, :-1], some[1:, :-1] - some[:-1, :-1]
    area = np.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0])
    well = (free[::_SPARSE, ::_SPARSE] > 127) & (slow[::_SPARSE, ::_SPARSE, 3] > _WELL)
    area = area[well[:-1, :-1]]
    return float(np.sqrt(np.median(area))) / step if len(area) else 0.0


def _runs(half: Array) -> list[tuple[slice, slice]]:
    """The parts of a grid (uint8) that have any weight, cut in strips of `_STRIP` rows, from the top."""
    side = len(half)
    blocks = half.view(np.uint64).reshape(side // _STRIP, _STRIP, side // _BLOCK)
    used = np.zeros((side // _STRIP, side // _BLOCK + 2), np.int8)
    used[:, 1:-1] = np.bitwise_or.reduce(blocks, axis=1) != 0
    strip, end = np.nonzero(np.diff(used, axis=1))
    rows, ends = (strip[::2] * _STRIP).tolist(), (end * _BLOCK).reshape(-1, 2).tolist()
    return [(slice(row, row + _STRIP), slice(*pair)) for row, pair in zip(rows, ends, strict=True)]


def _rows_of(matrix: Any, start: int, stop: int) -> Any:
    """Some rows of a sparse matrix, without copying it."""
    from scipy import sparse

    begin, end = matrix.indptr[start], matrix.indptr[stop]
    parts = (matrix.data[begin:end], matrix.indices[begin:end], matrix.indptr[start : stop + 1] - begin)
    return sparse.csr_matrix(parts, (stop - start, matrix.shape[1]), copy=False)


def _prepared(picture: Array, places: Array, density: float) -> tuple[Array, int, tuple[int, int]]:
    """The picture, made smaller where texels are larger than its px; how many times smaller; and the upper
    left px of the part that it was made of, which holds all `places`.
    """
    import cv2

    shrunk = 1
    while density / shrunk > MAGNIFIED:
        shrunk *= 2
    if shrunk == 1:
        return picture, 1, (0, 0)
    limit = np.array(picture.shape[1::-1])
    low = np.clip(places[:, :2].min(axis=0).astype(int) - shrunk, 0, limit - shrunk) // shrunk * shrunk
    count = np.maximum((np.clip(places[:, :2].max(axis=0), 0, limit).astype(int) - low) // shrunk + 1, 1)
    count = np.minimum(count, (limit - low) // shrunk)
    part = picture[low[1] : low[1] + count[1] * shrunk, low[0] : low[0] + count[0] * shrunk]
    small = cv2.resize(part, (int(count[0]), int(count[1])), interpolation=cv2.INTER_AREA)
    return small, shrunk, (int(low[0]), int(low[1]))
