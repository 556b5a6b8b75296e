# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the light out of layers, so that frames of other head poses, and photos of other rooms, agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..head.atlas import HeadAtlas
from .fill import with_gutters
from .layers import COARSE, Layer
from .lighting import Lighting
from .posed import PosedHead
from .take_light import Shot, light_of_shots
from .texels import TexelTable

Array = np.ndarray

DARKEST = 0.26
"""Least shade that is divided by: under nose and chin light comes back from the skin itself."""


def take_out_light(
    head: PosedHead, atlas: HeadAtlas, layers: Sequence[Layer], photos: bool
) -> tuple[list[Lighting], Array]:
    """Set the factors of the layers.

    Returns one lighting for a movie and one per sample for photos, and gains (T, 3) float32 that make
    footage = gain * shade * albedo of the layers.
    """
    lightings, gains = (_of_photos if photos else _of_movie)(head, atlas, layers)
    table = TexelTable.of(atlas, COARSE)
    for layer in layers:
        lighting = lightings[layer.index] if photos else lightings[0]
        layer.factor = _factor(head, table, layer.index, lighting, gains[layer.index])
    return lightings, gains


def _of_movie(head: PosedHead, atlas: HeadAtlas, layers: Sequence[Layer]) -> tuple[list[Lighting], Array]:
    found = light_of_shots(head, atlas, [_shot(layer) for layer in layers])
    return [found.lighting], _between(
        head.performance.time, [layer.index for layer in layers], np.asarray(found.gains)
    )


def _between(times: Array, indices: Sequence[int], gains: Array) -> Array:
    """(T, 3) float32 gains of all samples from those at `indices`, by time."""
    order = np.argsort(indices)
    known = times[np.asarray(indices)[order]]
    values = [np.interp(times, known, np.log(gains[order, channel])) for channel in range(3)]
    return np.exp(np.stack(values, axis=1)).astype(np.float32)


def _of_photos(head: PosedHead, atlas: HeadAtlas, layers: Sequence[Layer]) -> tuple[list[Lighting], Array]:
    """Each photo has its own light and level; levels meet where photos show the same skin."""
    lightings = [Lighting.even()] * head.count
    gains = np.ones((head.count, 3), np.float32)
    albedos = []
    for layer in layers:
        found = light_of_shots(head, atlas, [_shot(layer)])
        lightings[layer.index] = found.lighting
        albedos.append(np.asarray(found.albedo) * found.gains[0])
    agreed = _levels(np.stack(albedos))
    for layer, level in zip(layers, agreed, strict=True):
        gains[layer.index] = level
    return lightings, gains


def _levels(albedos: Array, rounds: int = 6) -> Array:
    """(N, 3) how much brighter each of N albedos ((N, M, 3), 0 where unknown) is than what they agree on,
    relative to the first.
    """
    known = (albedos > 1e-4).all(axis=2)
    logs = np.log(np.maximum(albedos, 1e-4))
    levels = np.zeros((len(albedos), 3))
    for _ in range(rounds):
        left = np.where(known[..., None], logs - levels[:, None], np.nan)
        total = np.nansum(left, axis=0)
        agreed = total / np.maximum(known.sum(axis=0), 1)[:, None]
        for i in range(len(albedos)):
            if known[i].any():
                levels[i] = np.median((logs[i] - agreed)[known[i]], axis=0)
    return np.exp(levels - levels[0])


def _shot(layer: Layer) -> Shot:
    return Shot(layer.index, layer.rgb, layer.weight)


def _factor(head: PosedHead, table: TexelTable, index: int, lighting: Lighting, gain: Array) -> Array:
    """(COARSE, COARSE, 3) float32."""
    normals = table.sample(head.normals(index))
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    shade = lighting.shade(normals / np.maximum(length, 1e-6))
    shade = DARKEST * np.logaddexp(0, (shade / DARKEST - 1) * 4) / 4 + DARKEST
    factor = 1 / np.sqrt(np.maximum(shade * gain, 1e-4))
    return with_gutters(factor.astype(np.float32), table.inside & (length[..., 0] > 0.1))
