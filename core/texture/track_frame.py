# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of a face track: taken from the footage, without its light, laid into the still.

The border needs no seam to be hidden: along it, the colour by which a picture still differs from the still
(what the light's model lacks) is taken off the picture, less and less towards the middle of the face, where
it is true.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..head.atlas import HeadAtlas
from .delight import TOE, Shade
from .posed import PosedHead
from .see_through import SeeThrough
from .track_mask import TrackMask

if TYPE_CHECKING:
    from .still import Still

Array = np.ndarray

COARSE = 4
"""Weights change as slowly as every fourth texel tells."""
SLOW, SLOWER = 128, 64
"""Sides of the map of light, two or three millimetres of a face, and of the border's colours."""
ENOUGH = 0.8
"""Weight of a texel from which on it is as in the footage: wrinkles at the side of the face are no less true
for being seen at an angle."""
REACH = 0.035
"""How far the border's colour reaches into the face, as a share of the atlas."""
_FARTHEST = 0.4
"""Log of a difference at the border that is not taken off: hair, or something before the face."""
_STRIP = 64


@dataclass(frozen=True)
class Layer:
    """A picture on its way into the still."""

    sample: int
    rgb: Array
    """(S, S, 3) uint8 as in the footage."""
    weight: Array
    """(S, S) uint8."""
    factors: Array
    """(`SLOW`, `SLOW`, 3) float32, of the levels plus `TOE`."""
    coarse: Array
    """(S / 4, S / 4) uint8 weight, times where the track is live."""
    colour: Array
    """(`SLOWER`, `SLOWER`, 3) float32: log of what the border's colour is to be multiplied by."""
    density: float
    """px per texel."""


class FrameMaker:
    """Makes the pictures of one track. `layer` and `laid_in` may be called from several threads."""

    def __init__(self, head: PosedHead, atlas: HeadAtlas, still: Still, size: int) -> None:
        """size: S, a multiple of `SLOW`."""
        import cv2

        self.size = size
        self._head, self._still = head, still
        self.mask = TrackMask.of(head.model, atlas, size // COARSE)
        self.unprojector = SeeThrough(head.model, atlas, size, _around(self.mask.live, size))
        slow = TrackMask.of(head.model, atlas, SLOW)
        self._shade = Shade(atlas, SLOW, head.rows, slow.live > 0)
        self.albedo = cv2.resize(still.albedo, (size, size), interpolation=cv2.INTER_AREA)
        """(S, S, 3) uint8: the still at this size."""
        self._under = self.albedo.astype(np.float32) + TOE
        self._border = _Border(self._under, slow.rim)
        self._own = threading.local()
        head.normals(0)  # what is made once must not be made by two threads

    def layer(self, sample: int, picture: Array) -> Layer:
        """The picture (H, W, 3) uint8 of a sample in the atlas."""
        import cv2

        head = self._own_head()
        vertices, normals = head.vertices(sample), head.normals(sample)[head.rows]
        row = head.camera.row(sample)
        found = self.unprojector.unproject(picture, head.camera, row, vertices, normals)
        lighting = self._still.lighting
        light = lighting[min(sample, len(lighting) - 1)]
        factors = self._shade.factors(normals, light, self._still.gain[sample])
        side = self.size // COARSE
        weight = cv2.convertScaleAbs(found.weight, alpha=1.0 / ENOUGH)
        coarse = cv2.resize(weight, (side, side), interpolation=cv2.INTER_AREA)
        coarse = cv2.multiply(coarse, self.mask.live, dtype=cv2.CV_8U)
        colour = self._border.colour(found.rgb, coarse, factors)
        return Layer(sample, found.rgb, weight, factors, coarse, colour, found.density)

    def _own_head(self) -> PosedHead:
        """A head of this thread's own: it keeps the last pose."""
        if not hasattr(self._own, "head"):
            self._own.head = copy.copy(self._head)
        return self._own.head

    def laid_in(self, layer: Layer, weight: Array, colour: Array) -> Array:
        """(S, S, 3) uint8: the still with the layer on it. weight: (S / 4, S / 4) float32 0..255, the layer's
        coarse one made steady; colour: (`SLOWER`, `SLOWER`, 3) likewise.
        """
        import cv2

        kept = np.where(self.mask.quick, 1.0, weight / np.maximum(layer.coarse, 1))
        share = (kept * (self.mask.live * np.float32(1 / 255))).astype(np.float32)
        factors = cv2.resize(np.exp(colour), (SLOW, SLOW), interpolation=cv2.INTER_LINEAR)
        factors *= layer.factors
        seen = (share > 0) & (layer.coarse > 0)
        picture = self.albedo.copy()
        for top in range(0, self.size, _STRIP):
            columns = np.flatnonzero(seen[top // COARSE : (top + _STRIP) // COARSE].any(axis=0))
            if len(columns):
                left, right = COARSE * int(columns[0]), COARSE * int(columns[-1] + 1)
                self._lay(picture, layer, (factors, share), (top, left, right))
        return picture

    def _lay(
        self, picture: Array, layer: Layer, maps: tuple[Array, Array], place: tuple[int, int, int]
    ) -> None:
        """One strip, small enough for the processor's cache, by the coarse factors and shares."""
        import cv2

        top, left, right = place
        part = (slice(top, top + _STRIP), slice(left, right))
        factors, share = (enlarged(values, self.size, *place) for values in maps)
        share *= layer.weight[part]
        rgb = layer.rgb[part].astype(np.float32)
        rgb += TOE
        rgb *= factors
        rgb -= self._under[part]
        rgb *= cv2.merge([share, share, share])
        cv2.add(rgb, self.albedo[part], dst=picture[part], dtype=cv2.CV_8U)


def _around(live: Array, size: int) -> Array:
    """(size / 2, size / 2) bool: where a track shows ((s, s) float32), and so far around that maps of
    `SLOWER` texels mix nothing else in.
    """
    import cv2

    side = 2 * (len(live) // SLOWER) + 1
    near = cv2.dilate((live > 0).astype(np.uint8), np.ones((side, side), np.uint8))
    return cv2.resize(near, (size // 2, size // 2), interpolation=cv2.INTER_NEAREST) > 0


def enlarged(coarse: Array, size: int, top: int, left: int, right: int) -> Array:
    """A strip of a coarse map (h, h[, C]) float32 at the full `size`, as if all of it were enlarged: rows
    from `top`, a multiple of the strip, columns `left` to `right`.
    """
    import cv2

    side = len(coarse)
    step = size // side
    high, low = top // step, -(-(top + _STRIP) // step)
    first, last = left // step, -(-right // step)
    around = (int(high > 0), int(low < side), int(first > 0), int(last < side))
    part = coarse[high - around[0] : low + around[1], first - around[2] : last + around[3]]
    wanted = (step * part.shape[1], step * part.shape[0])
    full = cv2.resize(np.ascontiguousarray(part), wanted, interpolation=cv2.INTER_LINEAR)
    y, x = top - step * (high - around[0]), left - step * (first - around[2])
    return full[y : y + _STRIP, x : x + right - left]


class _Border:
    """Where pictures end in the still, and by how much their colours differ there."""

    def __init__(self, under: Array, rim: Array) -> None:
        """under: (S, S, 3) float32, the still's levels plus `TOE`; rim: (`SLOW`, `SLOW`) float32."""
        import cv2

        size = (SLOWER, SLOWER)
        self._log = np.log(cv2.resize(under, size, interpolation=cv2.INTER_AREA))
        self._rim = cv2.resize(rim, size, interpolation=cv2.INTER_AREA)

    def colour(self, rgb: Array, coarse: Array, factors: Array) -> Array:
        """(`SLOWER`, `SLOWER`, 3) float32: log of the still over the picture near the border, 0 far off."""
        import cv2

        size = (SLOWER, SLOWER)
        small = cv2.resize(rgb, (SLOW, SLOW), interpolation=cv2.INTER_LINEAR)
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA).astype(np.float32) + TOE
        small *= cv2.resize(factors, size, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(coarse, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        band = weight * np.maximum(10 - 25 * weight, 0) * self._rim
        off = self._log - np.log(np.maximum(small, 1.0))
        band = band * np.maximum(1.0 - (np.abs(off).max(axis=-1) / _FARTHEST) ** 2, 0.0) ** 2
        both = np.dstack([off * band[..., None], band])
        spread = cv2.GaussianBlur(both, (0, 0), REACH * SLOWER, borderType=cv2.BORDER_CONSTANT)
        return spread[..., :3] / (spread[..., 3:] + np.float32(0.15))
