# SPDX-License-Identifier: GPL-3.0-or-later
"""The chart of head and neck: frames blended in bands, completed, and evened where shadows lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..head.atlas import SKIN, HeadAtlas
from . import tone
from .blend import Bands, shares
from .choose import Choice
from .layers import COARSE, Layer, enlarged, shown, within
from .texels import TexelTable
from .trust import Places, Tones, skin_colour

Array = np.ndarray
Box = tuple[slice, slice]

EVENED_NECK, EVENED_SIDES = 0.8, 0.35
"""How far broad shades are taken out of the neck, and of the sides of the head."""
EVENED_FACE = 0.5
"""How far left and right are made alike in what is broad."""
LEAD, LEAD_IN_FACE = 1.6, 4.5
"""By how much the leading frame is preferred: everywhere, and in the face."""
LAST_RESORT = 0.02
"""Worth of frames that are made for lids or teeth alone."""


@dataclass(frozen=True)
class Making:
    """A still on its way."""

    atlas: HeadAtlas
    layers: Sequence[Layer]
    """The leading frame first."""
    choice: Choice
    places: Places
    tones: Tones
    scale: Array
    """(3,) what makes albedo of the layers' squares."""
    size: int
    mouth_light: Mapping[int, Array]
    """(V,) float32 0..1 by chart (TEETH, MOUTH): the light that gets in between the lips."""

    @property
    def levels(self) -> int:
        """How many times a picture of the head is halved: down to some 32 texels."""
        return max(2, int(np.log2(self.size)) - 5)

    @property
    def chart(self) -> Array:
        """(size, size) uint8, see `core.head.atlas`."""
        return TexelTable.of(self.atlas, self.size).chart

    @property
    def box(self) -> Box:
        """Where head and neck are."""
        return box_of(self.chart == SKIN, 2**self.levels)


def box_of(where: Array, step: int) -> Box:
    """The rows and columns around what is True, at multiples of `step`; for a step over 1 all columns."""
    rows = np.flatnonzero(where.any(axis=1))
    columns = np.flatnonzero(where.any(axis=0)) if step == 1 else np.array([0, where.shape[1] - 1])
    if not len(rows):
        return slice(0, step), slice(0, where.shape[1])
    low, high = rows[0] // step * step, -(-(rows[-1] + 1) // step) * step
    return slice(int(low), int(high)), slice(int(columns[0]), int(columns[-1]) + 1)


def skin_picture(making: Making) -> tuple[Array, Array]:
    """(h, w, 3) float32 square root of albedo in the box of the skin, complete, and (h, w) what of it was
    seen.
    """
    box, size, places, skin = making.box, making.size, making.places, making.tones.skin
    blended, best = _blended(making)
    seen = _soft(best, 0.03, 0.3)
    expected = tone.prior(places.scalp, places.skin, skin, making.tones.hair)
    sides = EVENED_SIDES * (1 - places.face) * (1 - places.fringe)
    shaded = np.maximum(np.maximum(EVENED_NECK * places.neck, sides), places.back)
    expected, shaded = (enlarged(part, size, box) for part in (expected, shaded))
    even = enlarged(EVENED_FACE * places.even * places.symmetric, size, box)
    root = tone.made_whole(blended, seen, expected, making.levels if places.symmetric else 0)
    root = tone.evened(root, expected, shaded, even)
    edge = TexelTable.of(making.atlas, size).sample(making.atlas.blend[:, None])[box][..., 0]
    return tone.with_plain_edge(root, edge, skin), seen * edge


def _blended(making: Making) -> tuple[Array, Array]:
    """The frames in bands, and the worth of the best frame at each texel."""
    box, size = making.box, making.size
    chart = making.chart[box] == SKIN
    blend, best = Bands(chart.shape, making.levels), np.zeros(chart.shape, np.float32)
    step = 2**making.levels
    for layer, fine, coarse in zip(
        making.layers, *_worths(making.layers, making.choice, making.places), strict=True
    ):
        part = shown(layer.weight[box], 2 * step, step)
        if part is None:
            continue
        own = within(box, part)
        worth = layer.worth(own) * chart[part]
        mask = np.minimum(worth * 5, 1)
        sharp, smooth = (enlarged(share, size, own) * mask for share in (fine, coarse))
        blend.add(layer.root(own), mask, sharp, smooth, (part[0].start, part[1].start))
        np.maximum(best[part], worth, out=best[part])
    return blend.result(), best


def blended_tone(layers: Sequence[Layer], choice: Choice, places: Places) -> Array:
    """(3,) float32 square root of albedo of plain skin as the blend will have it."""
    sharp, _ = _worths(layers, choice, places)
    roots = [layer.broad for layer in layers if layer.broad is not None]
    blended = sum(share[..., None] * root for share, root in zip(sharp, roots, strict=True))
    return skin_colour(np.asarray(blended), sharp.sum(axis=0) * places.plain)


def _worths(layers: Sequence[Layer], choice: Choice, places: Places) -> tuple[Array, Array]:
    """Shares of the layers ((N, COARSE, COARSE)) in fine bands, where one takes nearly all and the leading
    one is preferred, and in coarse ones.
    """
    import cv2

    worth = []
    for layer in layers:
        weight = cv2.resize(layer.weight, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
        value = weight.astype(np.float32) / 255 * layer.trust
        worth.append(value * (1.0 if layer.index in choice.main else LAST_RESORT))
    smooth = shares(np.stack(worth), 1.5)
    preferred = [cv2.GaussianBlur(value, (0, 0), 2.0) for value in worth]
    preferred[0] = preferred[0] * (LEAD + (LEAD_IN_FACE - LEAD) * places.face)
    return shares(np.stack(preferred), 8.0), smooth


def _soft(value: Array, low: float, high: float) -> Array:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
