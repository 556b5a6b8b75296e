# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the head ends in a picture: what of it is head, neck and hair, and what is torso.

The posed mesh tells: its skin chart fades out down the neck (`HeadAtlas.blend`). Beside the mesh, where hair
and shoulders are, a line through the sides of that fade, across the head's own up, is the border.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..head.atlas import SKIN, HeadAtlas
from ..raster import rasterise
from .matte import Square

Array = np.ndarray

MARGIN_TOP, MARGIN_SIDE, MARGIN_LOW = 0.28, 0.30, 0.02
"""Room for hair around the mesh, in the height of the mesh in the picture."""
SEEN_SIDE, SEEN_UP = 1.55, 0.1
"""Side of the square that is segmented, and how far above the mesh its middle is, in the mesh's height."""
BESIDE = (0.0, 0.025)
"""Metres above the line beside the neck: up to here it is torso, from here on head."""
TRUSTED = 0.03
"""Metres above the line from which on the mesh is sure to show skin or hair."""
FADE = 0.025
"""Metres of neck that fade where the atlas does not say."""
_SIDE = 256
_STEP = 16
"""Sides of a crop are multiples of it, where the picture is large enough."""


@dataclass(frozen=True)
class Box:
    """Whole px of a picture: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    def of(self, picture: Array) -> Array:
        """The part of a picture (H, W, ...)."""
        return picture[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True)
class Rise:
    """How far above the line of the neck each px of a crop is, in metres at the head's depth."""

    x: float
    """Metres per px to the right."""
    y: float
    """Metres per px down."""
    start: float
    """Metres at the upper left corner."""

    def over(self, shape: tuple[int, ...], zoom: Array | float = 1.0) -> Array:
        """(h, w) float32 over a crop of shape (h, w), whose px are `zoom` ((x, y)) times as many."""
        across, down = np.broadcast_to(zoom, 2)
        x = np.float32(self.x / across) * (np.arange(shape[1], dtype=np.float32) + np.float32(0.5))
        y = np.float32(self.y / down) * (np.arange(shape[0], dtype=np.float32) + np.float32(0.5))
        return np.float32(self.start) + x + y[:, None]


@dataclass(frozen=True)
class Region:
    """What the mesh says of a crop."""

    keep: Array
    """(h, w) float32: 1 on the head and beside it, 0 below the neck."""
    trusted: Array
    """(h, w) float32: 1 well within the head's outline, which a matte must cover."""
    rise: Rise


class HeadRegion:
    """One mesh whose outline is drawn picture by picture."""

    def __init__(self, atlas: HeadAtlas, rows: Array, rest: Array) -> None:
        """`rows` (n,) sorted rows of the model that are posed, `rest` (n, 3) metres: the person at rest."""
        skin = atlas.triangles[atlas.triangle_chart == SKIN]
        self._triangles = np.searchsorted(rows, skin)
        self._skin = np.unique(self._triangles)
        self.blend = _fade(atlas.blend[rows], rest, self._skin)
        """(n,) float32: 1 on the head, 0 at the neck's lower edge."""
        self._solid = self._skin[self.blend[self._skin] > 0.5]
        fading = self._skin[(self.blend[self._skin] > 0.2) & (self.blend[self._skin] < 0.9)]
        outer = np.abs(rest[fading, 0]) > 0.6 * np.abs(rest[fading, 0]).max()
        self._sides = fading[outer]

    def outline(self, px: Array) -> tuple[Array, Array]:
        """Upper left and lower right (2,) px of the mesh without its fading edge; `px` (n, 2)."""
        solid = px[self._solid]
        return solid.min(axis=0), solid.max(axis=0)

    def box(self, px: Array, size: tuple[int, int]) -> Box:
        """The crop: the head with room for hair, inside a picture of `size` (height, width)."""
        low, high = self.outline(px)
        height = high[1] - low[1]
        low = low - height * np.array([MARGIN_SIDE, MARGIN_TOP])
        high = high + height * np.array([MARGIN_SIDE, MARGIN_LOW])
        x, width = _span(low[0], high[0], size[1])
        y, tall = _span(low[1], high[1], size[0])
        return Box(x, y, width, tall)

    def square(self, px: Array, size: tuple[int, int]) -> Square:
        """What is segmented: around the head, and not out of a picture of `size` (height, width) for more
        than it must.
        """
        low, high = self.outline(px)
        height = float(high[1] - low[1])
        side = min(SEEN_SIDE * height, float(max(size)))
        middle = 0.5 * (low + high) - [0.0, SEEN_UP * height]
        first = [
            float(np.clip(m - 0.5 * side, 0, most - side)) if side < most else 0.5 * (most - side)
            for m, most in zip(middle, (size[1], size[0]), strict=True)
        ]
        return Square(first[0], first[1], side)

    def inside(self, px: Array, size: tuple[int, int]) -> float:
        """Share of the head's rows that lie in a picture of `size` (height, width), the neck left out."""
        head = px[self._skin[self.blend[self._skin] == 1]]
        return float(np.mean(np.all((head >= 0) & (head < [size[1], size[0]]), axis=1)))

    def draw(self, px: Array, depth: Array, box: Box, up: Array, per_metre: float) -> Region:
        """The region of a crop; `px` (n, 2) and `depth` (n,) metres of the rows, `up` (2,) the head's up in
        the picture, `per_metre` px at the head's depth.
        """
        import cv2

        shrink = min(1.0, _SIDE / max(box.width, box.height))
        size = max(1, round(box.height * shrink)), max(1, round(box.width * shrink))
        zoom = np.array([size[1] / box.width, size[0] / box.height])
        drawn = rasterise((px - [box.x, box.y]) * zoom, depth, self._triangles, size)
        step = np.asarray(up) / per_metre
        line = px[self._sides].mean(axis=0) - [box.x, box.y]
        rise = Rise(float(step[0]), float(step[1]), -float(line @ step))
        above = rise.over(size, zoom)
        keep = np.clip((above - BESIDE[0]) / (BESIDE[1] - BESIDE[0]), 0, 1)
        keep[drawn.covered] = drawn.sample(self._triangles, self.blend[:, None])[:, 0]
        keep = cv2.GaussianBlur(keep, (0, 0), 0.004 * per_metre * shrink + 0.5)
        trusted = (drawn.covered & (above > TRUSTED)).astype(np.uint8)
        # A fitted outline is some millimetres off.
        within = cv2.distanceTransform(np.pad(trusted, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        metres = within / (per_metre * shrink)
        trust = np.clip((metres - 0.010) / 0.006, 0, 1).astype(np.float32)
        full = (box.width, box.height)
        keep, trust = (cv2.resize(layer, full, interpolation=cv2.INTER_LINEAR) for layer in (keep, trust))
        return Region(keep, trust, rise)


def _fade(blend: Array, rest: Array, skin: Array) -> Array:
    """The atlas's fade, or, where it has none, one over the lowest part of the skin."""
    if np.any(blend[skin] < 1):
        return blend.astype(np.float32)
    height = rest[:, 1] - rest[skin, 1].min()
    return np.clip(height / FADE, 0, 1).astype(np.float32)


def _span(low: float, high: float, most: int) -> tuple[int, int]:
    """First px and length of low..high, a multiple of 16 where it fits, within 0..most."""
    first, last = max(0, int(np.floor(low))), min(most, int(np.ceil(high)))
    length = max(1, last - first)
    length = min(-(-length // _STEP) * _STEP, most // _STEP * _STEP or most)
    middle = 0.5 * (first + last)
    first = int(np.clip(round(middle - 0.5 * length), 0, most - length))
    return first, length
