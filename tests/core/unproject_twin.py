# SPDX-License-Identifier: GPL-3.0-or-later
"""Unprojection in plain numpy, texel by texel, and painted heads: the slow twin of the fast way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.camera import Camera
from core.head import HeadModel
from core.head.atlas import EYE_LEFT, EYE_RIGHT, SKIN, HeadAtlas
from core.raster import Buffer, rasterise
from core.texture.texels import TexelTable

Array = np.ndarray

BACKGROUND = (255, 0, 255)
PLAIN = {EYE_LEFT: (0, 0, 255), EYE_RIGHT: (0, 0, 255)}
"""Colours of charts that are painted evenly; the skin has waves, everything else is green."""
OTHER = (0, 255, 0)


@dataclass(frozen=True)
class Seen:
    """What texels show, exactly."""

    rgb: Array
    """(S, S, 3) float64."""
    place: Array
    """(S, S, 2) px."""
    facing: Array
    """(S, S) cosine; 0 outside the charts."""
    behind: Array
    """(S, S) metres behind what the picture shows at that place; inf outside the picture and the charts."""


def normals_of(points: Array, triangles: Array) -> Array:
    """(V, 3) unit normals, the mean of the triangles around by area."""
    across = np.cross(
        points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    )
    total = np.zeros((len(points), 3))
    for corner in range(3):
        np.add.at(total, triangles[:, corner], across)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)


def drawn(atlas: HeadAtlas, camera: Camera, vertices: Array, cull: bool = True) -> Buffer:
    """The head's charts before a camera."""
    width, height = (int(side) for side in camera.size[0])
    return rasterise(camera.project(vertices), -vertices[:, 2], atlas.triangles, (height, width), cull=cull)


def unprojected(atlas: HeadAtlas, size: int, picture: Array, camera: Camera, vertices: Array) -> Seen:
    """Every texel looked up in the picture, and compared with the depth of the drawn head there."""
    table = TexelTable.of(atlas, size)
    vertices = vertices.astype(np.float64)
    normals = normals_of(vertices, atlas.triangles)
    points = table.sample(vertices).astype(np.float64)
    points[~table.inside] = (0.0, 0.0, -1.0)
    place = camera.project(points)
    direction = table.sample(normals)
    facing = -np.sum(direction * points, axis=2) / np.linalg.norm(points, axis=2)
    depth = drawn(atlas, camera, vertices).depth
    x, y = np.floor(place).astype(int).transpose(2, 0, 1)
    inside = table.inside & (x >= 0) & (y >= 0) & (x < depth.shape[1]) & (y < depth.shape[0])
    behind = np.full((size, size), np.inf)
    behind[inside] = -points[inside][:, 2] - depth[y[inside], x[inside]]
    return Seen(bilinear(picture, place), place, facing, behind)


def bilinear(picture: Array, place: Array) -> Array:
    """(..., 3) float64 at places (..., 2) px; beyond the border its nearest px."""
    height, width = picture.shape[:2]
    x = np.clip(place[..., 0] - 0.5, 0, width - 1.001)
    y = np.clip(place[..., 1] - 0.5, 0, height - 1.001)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = (x - left)[..., None], (y - top)[..., None]
    upper = picture[top, left] * (1 - u) + picture[top, left + 1] * u
    lower = picture[top + 1, left] * (1 - u) + picture[top + 1, left + 1] * u
    return upper * (1 - v) + lower * v


def colours(chart: Array, rest: Array) -> Array:
    """(n, 3) 0..255 of places ((n, 3) metres, on the person at rest) of charts ((n,))."""
    waves = 128 + 60 * np.sin(
        rest @ np.array([[260.0, 60.0, 90.0], [70.0, 240.0, 60.0], [40.0, 90.0, 300.0]])
    )
    found = np.where((chart == SKIN)[:, None], waves, np.array(OTHER))
    for own, colour in PLAIN.items():
        found[chart == own] = colour
    return found


def painted(model: HeadModel, atlas: HeadAtlas, camera: Camera, vertices: Array, rest: Array) -> Array:
    """(H, W, 3) uint8: the head in the colours of `colours`, before a background."""
    buffer = drawn(atlas, camera, vertices)
    picture = np.empty((*buffer.covered.shape, 3))
    picture[:] = BACKGROUND
    chart = atlas.triangle_chart[buffer.triangle[buffer.covered]]
    picture[buffer.covered] = colours(chart, buffer.sample(atlas.triangles, rest.astype(np.float64)))
    return np.rint(picture).astype(np.uint8)


def expected(atlas: HeadAtlas, size: int, rest: Array) -> Array:
    """(S, S, 3): the texture that was painted."""
    table = TexelTable.of(atlas, size)
    return colours(table.chart.ravel(), table.sample(rest).reshape(-1, 3)).reshape(size, size, 3)
