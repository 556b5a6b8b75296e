# SPDX-License-Identifier: GPL-3.0-or-later
"""The double seen through the fitted camera again, fast: what its textures are worth can be measured.

Geometry is drawn once per frame into a `View`; any number of textures are then painted on it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from ..camera import Camera
from ..head.atlas import HeadAtlas
from ..head.model import HeadModel
from ..raster import Buffer, rasterise
from .colour import to_linear, to_srgb
from .face_regions import triangle_regions

Array = np.ndarray

SMALLEST = 64
"""Width of the smallest copy of a texture."""
_LINE = 256
"""Pixels are looked up in lines of so many: no side of what cv2 looks up may be longer than 32767."""


class Shading(Protocol):
    """Light by direction, as `lighting.Lighting` has it."""

    def shade(self, normals: Array) -> Array:
        """(..., 3) linear RGB for unit normals (..., 3) in the view frame."""
        ...


class Rendered(NamedTuple):
    """One picture of the double."""

    picture: Array
    """(H, W, 3) uint8 sRGB; the background where the head is not."""
    region: Array
    """(H, W) uint8 of `face_regions`; `face_regions.is_face` makes a mask of it."""


class Pyramid:
    """A texture in linear light with smaller copies of it, so that far away nothing flickers or is lost."""

    def __init__(self, texture: Array) -> None:
        """`texture`: (S, S, 3) uint8 sRGB."""
        import cv2

        self.levels = [to_linear(texture)]
        while self.levels[-1].shape[0] >= 2 * SMALLEST:
            size = self.levels[-1].shape[0] // 2
            self.levels.append(cv2.resize(self.levels[-1], (size, size), interpolation=cv2.INTER_AREA))

    def at(self, uv: Array, level: Array) -> Array:
        """(n, 3) float32 colours at uv (n, 2), each from its level (n,) int."""
        result = np.empty((len(uv), 3), np.float32)
        level = np.clip(level, 0, len(self.levels) - 1)
        for number in np.flatnonzero(np.bincount(level)):
            chosen = np.flatnonzero(level == number)
            result[chosen] = _looked_up(self.levels[number], uv[chosen])
        return result


class View:
    """One pose of the head before a camera: what is seen at each pixel of the box that holds it."""

    def __init__(self, size: tuple[int, int], corner: tuple[int, int], maps: dict[str, Array]) -> None:
        self.size, self.corner = size, corner
        self.triangle = maps["triangle"]
        """(h, w) int32 of the atlas's triangles, -1 where there is none; of the box, as what follows."""
        self.region = maps["region"]
        """(h, w) uint8."""
        self.uv, self.normals = maps["uv"], maps["normals"]
        """(n, 2), and (n, 3) unit vectors in the view frame, of the n pixels that show the head, by rows."""
        self.footprint = maps["footprint"]
        """(n,) log2 of the share of a texture's width that a pixel spans."""

    def picture(
        self,
        texture: Array | Pyramid,
        lighting: Shading | None = None,
        gain: Array | None = None,
        background: Array | None = None,
    ) -> Array:
        """(H, W, 3) uint8 sRGB: the texture, lit where there is a lighting, times a gain (3,) per channel."""
        colour = self.albedo(texture)
        if lighting is not None:
            colour *= lighting.shade(self.normals)
        if gain is not None:
            colour *= np.asarray(gain, np.float32)
        result = np.zeros((*self.size, 3), np.uint8) if background is None else background.copy()
        self._box(result)[self.triangle >= 0] = to_srgb(colour)
        return result

    def albedo(self, texture: Array | Pyramid) -> Array:
        """(n, 3) float32 linear: the texture at the n pixels that show the head."""
        pyramid = texture if isinstance(texture, Pyramid) else Pyramid(texture)
        level = np.rint(self.footprint + np.log2(pyramid.levels[0].shape[0])).astype(np.int32)
        return pyramid.at(self.uv, np.maximum(level, 0))

    def regions(self) -> Array:
        """(H, W) uint8."""
        result = np.zeros(self.size, np.uint8)
        self._box(result)[:] = self.region
        return result

    def _box(self, picture: Array) -> Array:
        (y, x), (height, width) = self.corner, self.region.shape
        return picture[y : y + height, x : x + width]


class Rerenderer:
    """Draws one model's heads into pictures of one size."""

    def __init__(self, model: HeadModel, atlas: HeadAtlas, width: int, height: int) -> None:
        self.size = (height, width)
        self.triangles = atlas.triangles
        self.uv = atlas.uv.astype(np.float32)
        self.regions = triangle_regions(model, atlas)
        self._uv_area = np.abs(_doubled_areas(atlas.uv.astype(np.float64)))

    def render(
        self,
        vertices: Array,
        camera: Camera,
        row: int,
        texture: Array | Pyramid,
        lighting: Shading | None = None,
        gain: Array | None = None,
        normals: Array | None = None,
        background: Array | None = None,
    ) -> Rendered:
        """The head at `vertices` ((V, 3) metres, view frame) with a texture ((S, S, 3) uint8 sRGB).

        row: the sample of the performance, for a camera per photo. normals: (V, 3), found where left out.
        """
        view = self.view(vertices, camera, row, normals)
        return Rendered(view.picture(texture, lighting, gain, background), view.regions())

    def view(self, vertices: Array, camera: Camera, row: int, normals: Array | None = None) -> View:
        """What of the head is seen where; the footage's pictures may be smaller than the camera's."""
        width = camera.size[camera.row(row), 0]
        pixels = camera.project(vertices, row) * (self.size[1] / width)
        low, high = self._bounds(pixels)
        extent = (high[1] - low[1], high[0] - low[0])
        buffer = rasterise(pixels - low, -vertices[:, 2], self.triangles, extent)
        if normals is None:
            normals = vertex_normals(vertices, self.triangles)
        return View(self.size, (int(low[1]), int(low[0])), self._maps(buffer, pixels, normals))

    def _bounds(self, pixels: Array) -> tuple[Array, Array]:
        """First (x, y) and last + 1 of the pixels that the head may cover."""
        points, limit = pixels[self.triangles.ravel()], np.array(self.size[::-1])
        low = np.clip(np.floor(points.min(axis=0)), 0, limit - 1).astype(np.int64)
        high = np.clip(np.ceil(points.max(axis=0)), low + 1, limit).astype(np.int64)
        return low, high

    def _maps(self, buffer: Buffer, pixels: Array, normals: Array) -> dict[str, Array]:
        seen = buffer.covered
        number, weights = buffer.triangle[seen], buffer.weights[seen]
        region = np.zeros(seen.shape, np.uint8)
        region[seen] = self.regions[number]
        found = _mixed(weights, normals.astype(np.float32)[self.triangles], number)
        found /= np.sqrt(np.maximum(np.einsum("nk,nk->n", found, found), np.float32(1e-18)))[:, None]
        shown = np.abs(_doubled_areas(pixels[self.triangles]))
        footprint = 0.5 * np.log2(np.maximum(self._uv_area, 1e-12) / np.maximum(shown, 1e-6))
        return {
            "triangle": buffer.triangle,
            "region": region,
            "uv": _mixed(weights, self.uv, number),
            "normals": found,
            "footprint": footprint.astype(np.float32)[number],
        }


def vertex_normals(vertices: Array, triangles: Array) -> Array:
    """(V, 3) float64 unit normals, by the areas of the triangles around each; 0 where there is none."""
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack(
        [
            sum(np.bincount(triangles[:, k], across[:, axis], len(vertices)) for k in range(3))
            for axis in range(3)
        ],
        axis=1,
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)


def _looked_up(picture: Array, uv: Array) -> Array:
    """(n, 3) float32 of a texture (S, S, 3) at uv (n, 2), linear between texels."""
    import cv2

    size, lines = np.float32(picture.shape[0]), -(-len(uv) // _LINE)
    x, y = np.zeros((2, lines * _LINE), np.float32)
    x[: len(uv)] = uv[:, 0] * size - np.float32(0.5)
    y[: len(uv)] = (np.float32(1.0) - uv[:, 1]) * size - np.float32(0.5)
    shape = lines, _LINE
    found = cv2.remap(
        picture, x.reshape(shape), y.reshape(shape), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return found.reshape(-1, 3)[: len(uv)]


def _mixed(weights: Array, corners: Array, number: Array) -> Array:
    """(n, C) values of the triangles' corners ((F, 3, C)) at n pixels by their weights ((n, 3))."""
    picked = corners[number]
    mixed = weights[:, :1] * picked[:, 0]
    for k in (1, 2):
        mixed += weights[:, k : k + 1] * picked[:, k]
    return mixed


def _doubled_areas(corners: Array) -> Array:
    """(F,) twice the signed area of triangles (F, 3, 2)."""
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
