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
from .lattice import bordered, sparse_points
from .normals import SurfaceNormals
from .posed import local_polygons
from .texels import TexelTable
from .visibility import FAR, Grid, Occluder

Array = np.ndarray

SPACING, FINE_SPACING = 0.0022, 0.0005
"""Metres between the points that hide: of the head, of lids and lips."""
GRAZING, FULL = 0.2, 0.75
"""Cosines of the angle between normal and view from which a texel counts, and from which it counts in full.
"""
BEHIND = 0.003
"""Metres that a texel may lie behind the nearest surface and still be seen, where that faces the camera."""
MAGNIFIED = 1.5
"""px per texel from which the picture is made smaller first, so that no px is passed over."""
_STRIP = 64
"""Texel rows that are looked up together: their maps stay in the processor's cache."""


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

    texels: Array
    """(k,) int places in the half-size map."""
    points: Any
    """(k, n) sparse."""
    occluders: tuple[Occluder, ...]
    behind: float
    """Metres that a texel may lie behind an occluder and still be seen; negative: what lies so far behind the
    texel hides it too, for lids that are fitted through an eyeball."""


class Unprojector:
    """Unprojects pictures of any person of a head model into the atlas at one size. Make it once."""

    def __init__(self, model: HeadModel, atlas: HeadAtlas, size: int) -> None:
        """`size` S: texels along a side, a multiple of 4."""
        if size % 4 or size < 16:
            raise ValueError(f"the size of a texture is {size}; a multiple of 4 from 16 on is possible")
        self.size = size
        self.table = TexelTable.of(atlas, size)
        self.rows = np.unique(atlas.triangles)
        self._surface = SurfaceNormals.of(local_polygons(model, atlas, self.rows), len(self.rows))
        self._map = self._grid_points(atlas, size // 2)
        self._slow = self._grid_points(atlas, size // 4)
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
        slow = (self._slow @ np.column_stack([places, self._facing(points)])).reshape(
            self.size // 4, self.size // 4, 4
        )
        weight = self._weight(slow, places, zoom, picture.shape)
        density = _density(slow, weight, 4)
        rgb = self._looked_up(picture, places, weight, density)
        return Unprojected(rgb, weight, density)

    def _grid_points(self, atlas: HeadAtlas, size: int) -> Any:
        """(size * size, n) sparse: the point of every texel of a smaller grid; rows outside are empty."""
        from scipy import sparse

        texels, corners, weights = bordered(TexelTable.of(atlas, size))
        filled = np.zeros(size * size + 1, np.int32)
        filled[texels + 1] = 3
        columns = np.searchsorted(self.rows, corners).astype(np.int32).ravel()
        data = weights.astype(np.float32).ravel()
        starts = np.cumsum(filled, dtype=np.int32)
        return sparse.csr_matrix((data, columns, starts), (size * size, len(self.rows)))

    def _facing(self, points: Array) -> Array:
        """(n,) cosine of the angle between each point's normal and the direction to the camera."""
        across = np.einsum("nk,nk->n", self._surface.unit(points), points)
        return -across / np.sqrt(np.einsum("nk,nk->n", points, points))

    def _weight(self, slow: Array, places: Array, zoom: float, shape: tuple[int, ...]) -> Array:
        """(S, S) uint8."""
        import cv2

        seen = _smooth(slow[..., 3], GRAZING, FULL) * _within(slow, shape)
        grid = self._head.grid(places, zoom)
        if grid is not None:
            seen *= _unhidden(slow, grid)
        half = cv2.resize(seen, (self.size // 2, self.size // 2), interpolation=cv2.INTER_LINEAR)
        for cover in self._covers:
            _hide(half, cover, places, zoom)
        bytes_ = cv2.convertScaleAbs(half, alpha=255.0)
        full = cv2.resize(bytes_, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        return cv2.bitwise_and(full, self._inside)

    def _looked_up(self, picture: Array, places: Array, weight: Array, density: float) -> Array:
        """(S, S, 3) uint8: the picture at every texel of the rows and columns that are seen at all."""
        import cv2

        size = self.size
        rgb = np.zeros((size, size, 3), np.uint8)
        if density <= 0.0:
            return rgb
        half = (self._map @ np.ascontiguousarray(places[:, :2])).reshape(size // 2, size // 2, 2)
        shrunk = 1
        while density / shrunk > MAGNIFIED:
            shrunk *= 2
        if shrunk > 1:
            picture, half = _smaller(picture, half, shrunk)
        half -= np.float32(0.5)
        full = cv2.resize(half, (size, size), interpolation=cv2.INTER_LINEAR)
        nothing: Any = None
        for top in range(0, size, _STRIP):
            columns = np.flatnonzero(weight[top : top + _STRIP].any(axis=0))
            if not len(columns):
                continue
            part = (slice(top, top + _STRIP), slice(columns[0], columns[-1] + 1))
            where, between = cv2.convertMaps(full[part], nothing, cv2.CV_16SC2)
            rgb[part] = cv2.remap(picture, where, between, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
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


def _within(slow: Array, shape: tuple[int, ...]) -> Array:
    """0 where a texel lies outside the picture ((H, W, ...) px), 1 from 3 px within on."""
    x, y = slow[..., 0], slow[..., 1]
    least = np.minimum(np.minimum(x, shape[1] - x), np.minimum(y, shape[0] - y))
    return np.clip((least - np.float32(1.0)) * np.float32(0.5), 0, 1)


def _unhidden(slow: Array, grid: Grid) -> Array:
    """0 where another part of the head lies before a texel or the silhouette is near, 1 where it is free.

    Within a cell a surface that is seen at an angle gets farther by the cell times the angle's tangent.
    """
    import cv2

    x, y = grid.places(slow[..., :2])
    inner = cv2.distanceTransform(grid.covered, cv2.DIST_L2, 3)
    both = np.dstack([grid.depth, np.clip(0.5 * inner - 0.5, 0, 1)])
    found = cv2.remap(both, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(FAR, 0))
    facing = np.maximum(slow[..., 3], np.float32(GRAZING))
    slope = np.sqrt(np.maximum(1 - facing * facing, 0)) / facing
    metres = 2.0 * SPACING * 1.4
    free = 1 + (found[..., 0] + (BEHIND + metres * slope) - slow[..., 2]) * np.float32(1 / BEHIND)
    return np.clip(free, 0, 1) * found[..., 1]


def _covers(atlas: HeadAtlas, table: TexelTable, triangles: Array, rest: Array) -> list[_Cover]:
    """Eyes under lids, teeth behind lips, the mouth behind lips and teeth."""
    own = {chart: triangles[atlas.triangle_chart == chart] for chart in (SKIN, EYE_LEFT, EYE_RIGHT, TEETH)}
    lips = Occluder.of(_near(own[SKIN], own[TEETH], rest, 0.014), rest, FINE_SPACING)
    teeth = Occluder.of(own[TEETH], rest, FINE_SPACING)
    wanted: list[tuple[int, tuple[Occluder, ...], float]] = [
        (TEETH, (lips,), 0.001),
        (MOUTH, (lips, teeth), 0.002),
    ]
    for eye in (EYE_LEFT, EYE_RIGHT):
        lids = Occluder.of(_near(own[SKIN], own[eye], rest, 0.008), rest, FINE_SPACING)
        wanted.append((eye, (lids,), -0.0015))
    rows = np.unique(atlas.triangles)
    covers = []
    for chart, occluders, behind in wanted:
        texels = np.flatnonzero(table.chart.ravel() == chart)
        if len(texels):
            corners = np.searchsorted(rows, table.triangles[table.triangle.ravel()[texels]])
            weights = table.barycentric.reshape(-1, 3)[texels]
            covers.append(_Cover(texels, sparse_points(corners, weights, len(rows)), occluders, behind))
    return covers


def _near(triangles: Array, others: Array, vertices: Array, reach: float) -> Array:
    """Those of `triangles` with a corner within `reach` metres of a corner of `others`."""
    from scipy.spatial import KDTree

    if not len(triangles) or not len(others):
        return triangles[:0]
    found, _ = KDTree(vertices[np.unique(others)]).query(vertices[triangles].reshape(-1, 3))
    return triangles[(found.reshape(-1, 3) < reach).any(axis=1)]


def _hide(half: Array, cover: _Cover, places: Array, zoom: float) -> None:
    """Set the weights (S / 2, S / 2) of texels under a cover to 0."""
    flat = half.reshape(-1)
    seen = flat[cover.texels] > 0
    if not seen.any():
        return
    at = cover.points @ places
    for occluder in cover.occluders:
        grid = occluder.grid(places, zoom)
        if grid is not None:
            flat[cover.texels[grid.nearest(at[:, :2]) < at[:, 2] - np.float32(cover.behind)]] = 0


def _density(slow: Array, weight: Array, step: int) -> float:
    """Median px per texel of what is seen, by the areas between grid points that are `step` texels apart."""
    right, down = np.diff(slow[:-1, :, :2], axis=1), np.diff(slow[:, :-1, :2], axis=0)
    area = np.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0])
    seen = area[weight[::step, ::step][:-1, :-1] > 127]
    return float(np.sqrt(np.median(seen))) / step if len(seen) else 0.0


def _smaller(picture: Array, half: Array, shrunk: int) -> tuple[Array, Array]:
    """The picture at a fraction of its size, and where its texels lie in it."""
    import cv2

    height, width = picture.shape[0] // shrunk, picture.shape[1] // shrunk
    cut = picture[: height * shrunk, : width * shrunk]
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), half / np.float32(shrunk)
