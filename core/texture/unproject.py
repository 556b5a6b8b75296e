# SPDX-License-Identifier: GPL-3.0-or-later
"""From a picture of a head to its texture: what each texel of the atlas shows in it, and how well it is seen.

Where a texel lies in the picture is computed for every second texel by one sparse product and is linear
between; how well it is seen changes slowly and is computed for every fourth. Lids over eyes and lips over
teeth are matters of a texel and have depth pictures of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
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

SPACING, LIP_SPACING, LID_SPACING = 0.0022, 0.0007, 0.0005
"""Metres between the points that hide: of the head, of lips and teeth, of lids."""
GRAZING, FULL = 0.1, 0.65
"""Cosines of the angle between normal and view from which a texel counts, and from which it counts in full.
"""
BEHIND = 0.003
"""Metres that a texel may lie behind the nearest surface and still be seen, where that faces the camera."""
BESIDE = 0.010
"""The same for a surface that is a cell away: behind a jaw or a nose that may be fitted a little off."""
MAGNIFIED = 1.5
"""px per texel from which the picture is made smaller first, so that no px is passed over."""
_SLOW, _SPARSE = 4, 4
"""Texels from one point to the next of the grid on which it is computed how well texels are seen; and points
from one to the next of those by which the size of texels is judged.
"""
_SOFT = 5
"""Texels of the half-size map over which weights fall at the edges of lids and lips, twice over."""
_STRIP, _BLOCK = 32, 8
"""Rows of the half-size map that are looked up together, so that they stay in the processor's cache, and
columns from which on they are cut.
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
        if size % (2 * _STRIP) or size <= 0:
            raise ValueError(f"the size of a texture is {size}; it must be a multiple of {2 * _STRIP}")
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
        points = np.asarray(vertices, np.float32)[self.rows]
        scale = picture.shape[1] / float(camera.size[row, 0])
        places, zoom = _projected(points, camera, row, scale)
        side = self.size // _SLOW
        slow = (self._slow @ np.column_stack([places, self._facing(points)])).reshape(side, side, 4)
        seen = self._seen(slow, places, zoom, picture.shape)
        density = _density(slow, seen)
        half = self._uncovered(seen, places, zoom)
        rgb = self._looked_up(picture, places, _runs(half), density)
        return Unprojected(rgb, self._weight(half), density)

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

    def _seen(self, slow: Array, places: Array, zoom: float, shape: tuple[int, ...]) -> Array:
        """(S / 4, S / 4) float32 0..1 of the slow grid: how well each of its texels is seen."""
        side = len(slow)
        flat = slow.reshape(-1, 4)
        front = np.flatnonzero(flat[:, 3] > GRAZING)
        own = flat.take(front, axis=0)
        value = _smooth(own[:, 3], GRAZING, FULL) * _within(own, shape)
        grid = self._head.grid(places, zoom)
        if grid is not None:
            value *= _unhidden(own, grid)
        seen = np.zeros(side * side, np.float32)
        seen[front] = value
        return seen.reshape(side, side)

    def _uncovered(self, seen: Array, places: Array, zoom: float) -> Array:
        """(S / 2, S / 2) float32 0..1: the same without what lids and lips hide."""
        import cv2

        half = cv2.resize(seen, (self.size // 2, self.size // 2), interpolation=cv2.INTER_LINEAR)
        grids: dict[int, Grid | None] = {}
        for cover in self._covers:
            _hide(half, cover, places, zoom, grids)
        return half

    def _weight(self, half: Array) -> Array:
        """(S, S) uint8."""
        import cv2

        whole = cv2.convertScaleAbs(half, alpha=255.0)
        full = cv2.resize(whole, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        return cv2.bitwise_and(full, self._inside)

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
        picture, shrunk = _prepared(picture, density)
        x, y = (
            (matrix @ (places[:, k] / np.float32(shrunk) - np.float32(0.5))).reshape(-1, side) for k in (0, 1)
        )
        for rows, columns in runs:
            where, between = cv2.convertMaps(
                _doubled(x, rows, columns, low), _doubled(y, rows, columns, low), cv2.CV_16SC2
            )
            part = rgb[2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop]
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


def _smooth(value: Array, low: float, high: float) -> Array:
    """0 at `low`, 1 at `high`, smooth between, float32."""
    t = np.clip((value - np.float32(low)) * np.float32(1.0 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


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
    facing = own[:, 3]
    slope = np.sqrt(np.maximum(1 - facing * facing, 0)) / facing
    behind = own[:, 2] - np.float32(CELL * SPACING) * slope
    free = np.minimum(near + np.float32(BEHIND) - behind, beside + np.float32(BESIDE) - behind)
    return np.clip(1 + free * np.float32(1 / BEHIND), 0, 1) * inner


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
        chosen = charts == chart
        if chosen.any():
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


def _bounds(texels: Array, side: int) -> tuple[tuple[slice, slice], Array]:
    """The part of a map of `side` texels that holds some ((k,) int), and their places within it."""
    row, column = np.divmod(texels, side)
    top, left, bottom, right = row.min(), column.min(), row.max() + 1, column.max() + 1
    places = (row - top) * (right - left) + column - left
    return (slice(int(top), int(bottom)), slice(int(left), int(right))), places


def _hide(half: Array, cover: _Cover, places: Array, zoom: float, grids: dict[int, Grid | None]) -> None:
    """Take the weights (S / 2, S / 2) from texels under a cover, softly from its edge on; `grids`: those of
    this picture so far.
    """
    import cv2

    weights = half[cover.part]
    if not weights.any():
        return
    own = cover.points @ places
    free = np.ones(weights.shape, np.float32)
    for occluder in cover.occluders:
        if id(occluder) not in grids:
            grids[id(occluder)] = occluder.grid(places, zoom)
        grid = grids[id(occluder)]
        if grid is not None:
            free.reshape(-1)[cover.texels[grid.hides(own, cover.behind)]] = 0
    weights *= np.clip(2 * cv2.blur(free, (_SOFT, _SOFT)) - 1, 0, 1)


def _density(slow: Array, seen: Array) -> float:
    """Median px per texel of what is seen, by the areas between points of the slow grid."""
    some, step = slow[::_SPARSE, ::_SPARSE, :2], _SLOW * _SPARSE
    right, down = some[:-1, 1:] - some[:-1, :-1], some[1:, :-1] - some[:-1, :-1]
    area = np.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0])
    area = area[seen[::_SPARSE, ::_SPARSE][:-1, :-1] > 0.5]
    return float(np.sqrt(np.median(area))) / step if len(area) else 0.0


def _runs(half: Array) -> list[tuple[slice, slice]]:
    """The parts of a grid that have any weight, cut in strips of `_STRIP` rows, from the top."""
    import cv2

    side = len(half)
    blocks = cv2.resize(half, (side // _BLOCK, side // _STRIP), interpolation=cv2.INTER_AREA) > 0
    runs = []
    for strip, used in enumerate(blocks):
        rows = slice(strip * _STRIP, (strip + 1) * _STRIP)
        ends = np.flatnonzero(np.diff(used, prepend=False, append=False)) * _BLOCK
        runs += [(rows, slice(start, stop)) for start, stop in ends.reshape(-1, 2).tolist()]
    return runs


def _rows_of(matrix: Any, start: int, stop: int) -> Any:
    """Some rows of a sparse matrix, without copying it."""
    from scipy import sparse

    begin, end = matrix.indptr[start], matrix.indptr[stop]
    parts = (matrix.data[begin:end], matrix.indices[begin:end], matrix.indptr[start : stop + 1] - begin)
    return sparse.csr_matrix(parts, (stop - start, matrix.shape[1]), copy=False)


def _doubled(half: Array, rows: slice, columns: slice, low: int) -> Array:
    """Some part of a map, twice as fine as `half` (h, w), which begins at row `low`."""
    import cv2

    top, bottom = max(rows.start - low - 1, 0), min(rows.stop - low + 1, half.shape[0])
    left, right = max(columns.start - 1, 0), min(columns.stop + 1, half.shape[1])
    part = half[top:bottom, left:right]
    fine = cv2.resize(part, (2 * part.shape[1], 2 * part.shape[0]), interpolation=cv2.INTER_LINEAR)
    down, across = 2 * (rows.start - low - top), 2 * (columns.start - left)
    height, width = 2 * (rows.stop - rows.start), 2 * (columns.stop - columns.start)
    return fine[down : down + height, across : across + width]


def _prepared(picture: Array, density: float) -> tuple[Array, int]:
    """The picture, made smaller where texels are larger than its px, and how many times smaller."""
    import cv2

    shrunk = 1
    while density / shrunk > MAGNIFIED:
        shrunk *= 2
    if shrunk > 1:
        height, width = picture.shape[0] // shrunk, picture.shape[1] // shrunk
        cut = picture[: height * shrunk, : width * shrunk]
        picture = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    return picture, shrunk
