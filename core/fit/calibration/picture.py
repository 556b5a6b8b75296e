# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a bare head that a face detector takes for a person: smooth shading and a painted face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...raster import Buffer, rasterise
from .paint import Paint, brow_cover, hair_cover, lip_cover
from .surface import EYE, GUM, SKIN, TOOTH, HeadSurface

Array = np.ndarray

COLOURS = {
    SKIN: (0.62, 0.42, 0.34),
    EYE: (0.80, 0.77, 0.75),
    TOOTH: (0.62, 0.58, 0.50),
    GUM: (0.36, 0.14, 0.13),
}
"""Linear albedo of each kind of vertex."""
PUPIL, RIM = (0.008, 0.008, 0.008), (0.06, 0.035, 0.03)
PUPIL_SHARE = 0.38
"""Radius of the pupil in radii of the iris."""
INSIDE_LIGHT = 0.5
"""Light that teeth and tongue get at least: they shine out of a mouth that is dark behind them."""


@dataclass(frozen=True)
class Look:
    """Colours and light of one picture; colours are linear."""

    key: tuple[float, float, float] = (0.3, 0.5, 1.0)
    """Direction towards the main light, view frame."""
    tone: float = 1.0
    """Scales the skin's albedo."""
    hair: tuple[float, float, float] | None = None
    """Colour of the hair, None for a bald head."""
    brow: tuple[float, float, float] = (0.06, 0.04, 0.03)
    iris: tuple[float, float, float] = (0.10, 0.06, 0.035)
    lips: tuple[float, float, float] = (0.65, 0.38, 0.42)
    """What the red of the lips multiplies the skin with."""
    lashes: float = 0.7
    """How dark the rims of the lids are, 0..1."""
    background: float = 0.32


@dataclass(frozen=True)
class Shot:
    """One posed head before one camera, drawn."""

    vertices: Array
    """(V, 3) float64 metres, view frame (+X right, +Y up, +Z towards the camera)."""
    pixels: Array
    """(V, 2) float64 px, x right, y down, from the corner of the first pixel."""
    normals: Array
    """(V, 3) float64, view frame; 0 for vertices that are not drawn."""
    buffer: Buffer


def draw(vertices: Array, surface: HeadSurface, focal: float, size: int) -> Shot:
    """Project `vertices` ((V, 3) metres, view frame) through a centred pinhole camera of `focal` px and
    rasterise the head into `size` x `size`.
    """
    vertices = np.asarray(vertices, np.float64)
    depth = -vertices[:, 2]
    pixels = focal * vertices[:, :2] * np.array([1.0, -1.0]) / np.maximum(depth, 1e-6)[:, None] + size / 2
    normals = vertex_normals(vertices, surface.triangles)
    return Shot(vertices, pixels, normals, rasterise(pixels, depth, surface.triangles, (size, size)))


def vertex_normals(vertices: Array, triangles: Array) -> Array:
    """(V, 3) unit normals, the mean of the triangles around weighted by area; 0 for unused vertices."""
    corners = vertices[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = triangles.ravel()
    total = np.stack(
        [np.bincount(flat, np.repeat(across[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)


def shade(shot: Shot, surface: HeadSurface, paint: Paint, look: Look) -> Array:
    """The picture, (H, W, 3) uint8 sRGB."""
    covered = shot.buffer.covered
    per_vertex = np.column_stack([shot.normals, paint.light, paint.rim])
    sampled = shot.buffer.sample(surface.triangles, per_vertex)
    normal = sampled[:, :3] / np.maximum(np.linalg.norm(sampled[:, :3], axis=1, keepdims=True), 1e-9)
    kind = surface.kind[surface.triangles[shot.buffer.triangle[covered], 0]]
    light = np.where(kind == SKIN, sampled[:, 3], np.maximum(sampled[:, 3], INSIDE_LIGHT))
    albedo = np.array([COLOURS[k] for k in sorted(COLOURS)])[kind]
    chart = shot.buffer.sample(surface.triangles, paint.chart)
    skin, eye = kind == SKIN, kind == EYE
    albedo[skin] = _skin(chart[skin], sampled[skin, 4], paint, look)
    direction = shot.buffer.sample(surface.triangles, surface.eye_direction)[eye]
    albedo[eye] = _eyes(direction, albedo[eye], surface.limbus, look)
    key = np.array(look.key) / np.linalg.norm(look.key)
    direct = np.clip(0.15 + 0.85 * normal @ key, 0, None)
    radiance = albedo * (light * (0.85 * direct + 0.55 + 0.15 * normal[:, 1]))[:, None]
    picture = np.full((*covered.shape, 3), look.background)
    picture[covered] = radiance
    return (255 * np.clip(picture, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)


def _skin(chart: Array, rim: Array, paint: Paint, look: Look) -> Array:
    """Albedo (n, 3) of skin at `chart` ((n, 3) eye distances), with lips, brows, lashes and hair."""
    bare = np.array(COLOURS[SKIN]) * look.tone
    albedo = np.repeat(bare[None], len(chart), axis=0)
    covers = [
        (lip_cover(chart, paint.lips), bare * look.lips),
        (look.lashes * rim, np.array(RIM)),
        (0.85 * brow_cover(chart), np.array(look.brow)),
    ]
    if look.hair is not None:
        covers.append((hair_cover(chart), np.array(look.hair)))
    for cover, colour in covers:
        albedo += cover[:, None] * (colour - albedo)
    return albedo


def _eyes(direction: Array, white: Array, limbus: float, look: Look) -> Array:
    """Albedo (n, 3) of an eyeball by the angle between `direction` ((n, 3)) and its axis: white, iris with a
    dark edge, pupil.
    """
    angle = np.arctan2(np.linalg.norm(direction[:, :2], axis=1), direction[:, 2])[:, None] / limbus
    iris = np.array(look.iris) * np.where(angle > 0.88, 0.5, 1.0)
    return np.where(angle < PUPIL_SHARE, PUPIL, np.where(angle < 1.0, iris, white))
