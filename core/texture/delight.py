# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the light off pictures in the atlas at the price of one product per texel.

sRGB above its toe is 269.025 L ** (1 / 2.4) - 14.025 of linear light L. So dividing light by a shade is, for
the 8-bit levels plus 14.025, a product with shade ** (-1 / 2.4), which changes as slowly as normals do: it is
made at a quarter of the size. Levels under 10 come out too dark by a few levels at most.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..head.atlas import HeadAtlas
from .lattice import bordered, sparse_points
from .lighting import Lighting
from .texels import TexelTable

Array = np.ndarray

TOE = np.float32(14.025)
"""Levels: 255 times 0.055."""
_POWER = np.float32(-1 / 2.4)


class Shade:
    """The factors that take light off, over the texels of a coarse map."""

    def __init__(self, atlas: HeadAtlas, size: int, rows: Array, wanted: Array) -> None:
        """size: of the coarse map. rows: (n,) those rows of the model that normals are given for, sorted.
        wanted: (size, size) bool, the texels of interest; elsewhere the factor is 1.
        """
        texels, corners, weights = bordered(TexelTable.of(atlas, size), border=2)
        kept = _grown(wanted).ravel()[texels]
        self._texels = texels[kept]
        self._points: Any = sparse_points(np.searchsorted(rows, corners[kept]), weights[kept], len(rows))
        self._size = size

    def factors(self, normals: Array, lighting: Lighting, gain: Array) -> Array:
        """(size, size, 3) float32 for levels plus `TOE`. normals: (n, 3) unit, view frame; gain: (3,)."""
        seen = self._points @ np.ascontiguousarray(normals, np.float32)
        seen /= np.sqrt(np.maximum(np.einsum("nk,nk->n", seen, seen), np.float32(1e-12)))[:, None]
        light = lighting.shade(seen) * np.asarray(gain, np.float32)
        found = np.ones((self._size * self._size, 3), np.float32)
        found[self._texels] = np.exp(_POWER * np.log(np.maximum(light, np.float32(1e-3))))
        return found.reshape(self._size, self._size, 3)


def _grown(mask: Array) -> Array:
    """(S, S) bool, by two texels to all sides."""
    import cv2

    return cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
