# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine relief of the skin (pores, creases, folds of lips) out of its colour, as a tangent-space normal map.

A crease is dark because light reaches it less: "dark is deep" (Beeler et al., "High-quality single-shot
capture of facial geometry", 2010, section 5). That holds for detail that is fine, weak and of no other hue.
So what counts is a band of sizes; red light, in which freckles and veins show least; not what is brighter
than its surroundings (shine that stayed in the picture), nor what is much darker (moles, hair). Slopes are
held below `STEEPEST`: too little relief is not missed, too much looks embossed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..head import HeadModel
from ..head.atlas import SKIN, HeadAtlas
from .colour import to_linear
from .face_regions import BODY, BROWS, CHEEKS, EYES, FOREHEAD, LIPS, triangle_regions
from .tangents import TangentFrames
from .texels import TexelTable

Array = np.ndarray

STEEPEST = 0.3
"""Slope that none exceeds: 17 degrees."""
FLAT = np.array([128, 128, 255], np.uint8)
"""The pixel of a surface as it is."""
_EDGES = (0.7, 1.6, 3.6, 8.0)
"""Blurs (sigma, texels of a picture of 2048) between which lie the three bands: on a cheek 0.8, 2 and 4 mm
long."""
_GAINS = (1.5, 1.6, 0.5)
"""Slope per contrast (of logarithms) in each band. The coarse one is half skin colour, half in the mesh."""
_DARK, _BRIGHT = 0.15, 0.05
"""Contrasts below and above the surroundings that count most: beyond them it is less and less relief."""
_TRUE = 1.8, 4.2
"""px of the footage per wave from which a band begins to be, and is, more than noise and compression."""
_ROUGH = 0.05, 0.12
"""Root mean square contrast around a texel at which it begins to be, and is, hair and no skin."""
_NOTHING = 1e-3
"""Share of the steepest slope below which there is none, so that plain skin is one pixel all over."""
_CHANNELS = np.array([0.75, 0.25, 0.0], np.float32)
_REGIONS = {EYES: 0.0, BROWS: 0.0, BODY: 0.7, LIPS: 0.8}
"""Shares of the relief that parts of the head get; others all."""


def make_relief(
    albedo: Array,
    coverage: Array,
    atlas: HeadAtlas,
    model: HeadModel,
    vertices: Array,
    *,
    footage_px: float | None = None,
) -> Array:
    """(S, S, 3) uint8 normal map for the layout's UV (red along u, green along v, OpenGL's +Y).

    albedo: (S, S, 3) uint8 sRGB. coverage: (S, S) uint8, 255 where it was measured. vertices: (V, 3) metres,
    the person at rest. footage_px: how many px of the footage the square's side is made of, by which it is
    known what detail is true; default: S. Needs cv2. ModelError for a model without landmarks, which tell
    brows and eyes.
    """
    size = len(albedo)
    table = TexelTable.of(atlas, size)
    slopes = TangentFrames.of(atlas, vertices).slopes_at(table)
    light = np.log(to_linear(albedo) + np.float32(0.004))
    trust = _trust(light, coverage, table, triangle_regions(model, atlas))
    height = _height(light @ _CHANNELS, trust, footage_px or size) * _texel_length(slopes, size)
    return normal_map(height, slopes)


def normal_map(height: Array, slopes: Array) -> Array:
    """(S, S, 3) uint8 of a height ((S, S) float32 metres) over the layout; `slopes` as `TangentFrames`
    gives them.
    """
    size = len(height)
    by_u = np.gradient(height, axis=1) * size
    by_v = np.gradient(height, axis=0) * -size
    along = slopes[..., 0, 0] * by_u + slopes[..., 0, 1] * by_v
    across = slopes[..., 1, 0] * by_u + slopes[..., 1, 1] * by_v
    steep = np.hypot(along, across) / STEEPEST
    held = np.tanh(steep) / np.maximum(steep, 1e-6) * (steep > _NOTHING)
    normal = np.stack([-along * held, -across * held, np.ones_like(height)], axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return np.floor(normal * 127.5 + 128).clip(0, 255).astype(np.uint8)


def _height(light: Array, trust: Array, footage_px: float) -> Array:
    """(S, S) float32 texels: bands of the logarithm of light, each as high as its wavelength asks."""
    unit = len(light) / 2048
    steps = [_blurred(light, trust, sigma * unit) for sigma in _EDGES]
    bands = [fine - coarse for fine, coarse in pairwise(steps)]
    power = sum(_blurred(band * band, trust, _EDGES[-1] * unit) for band in bands[:2])
    calm = 1 - _rise(np.sqrt(np.maximum(power, 0)), *_ROUGH)
    height = np.zeros_like(light)
    for band, gain, (fine, coarse) in zip(bands, _GAINS, pairwise(_EDGES), strict=True):
        limit = np.where(band < 0, np.float32(_DARK), np.float32(_BRIGHT))
        middle = float(np.sqrt(fine * coarse))
        share = gain * float(_rise(np.array(2 * np.pi * middle * footage_px / 2048), *_TRUE))
        height += share * middle * unit * band * np.exp(-0.5 * (band / limit) ** 2)
    return height * trust * calm


def _trust(light: Array, coverage: Array, table: TexelTable, region: Array) -> Array:
    """(S, S) float32 0..1: skin that was seen."""
    import cv2

    unit = len(light) / 2048
    share = np.ones(256, np.float32)
    share[list(_REGIONS)] = list(_REGIONS.values())
    part = region[np.maximum(table.triangle, 0)]
    skin = (table.chart == SKIN) * share[part]
    seen = _rise(coverage.astype(np.float32) / 255, 0.5, 0.95)
    calm = np.isin(part, (CHEEKS, FOREHEAD)) & (coverage > 230) & (table.chart == SKIN)
    if np.count_nonzero(calm) < 100:
        return np.zeros(coverage.shape, np.float32)
    coarse = cv2.GaussianBlur(light, (0, 0), 10 * unit)
    away = coarse - np.median(coarse[calm], axis=0)
    lit = 1 - _rise(np.abs(away[..., 0]), 0.45, 0.9)  # red: lips and blushes differ least in it
    trust = cv2.erode(skin * seen, np.ones((2 * round(9 * unit) + 1,) * 2, np.uint8))
    return cv2.GaussianBlur(trust, (0, 0), 4 * unit) * lit


def _texel_length(slopes: Array, size: int) -> Array:
    """(S, S) float32 metres: the side of a texel on the person, by its area; 0 outside."""
    area = slopes[..., 0, 0] * slopes[..., 1, 1] - slopes[..., 0, 1] * slopes[..., 1, 0]
    return np.where(area != 0, 1 / np.sqrt(np.maximum(np.abs(area), 1e-6)), 0) / np.float32(size)


def _blurred(values: Array, weight: Array, sigma: float) -> Array:
    """Blurred over what has weight."""
    import cv2

    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    return cv2.GaussianBlur(values * weight, (0, 0), sigma) / np.maximum(total, 1e-4)


def _rise(values: Array, start: float, stop: float) -> Array:
    share = np.clip((values - start) / (stop - start), 0, 1).astype(np.float32)
    return share * share * (3 - 2 * share)
