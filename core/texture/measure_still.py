# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours that the still shows where it was measured: skin, lips, brows and hair."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..head.atlas import SKIN, HeadAtlas
from ..head.model import HeadModel
from .colour import LUMINANCE, to_linear
from .plain_skin import skin_regions
from .texels import TexelTable

Array = np.ndarray

SIZE = 1024
"""The still is looked at in this size."""
LEAST = 60
"""Texels that must show a colour."""
LIP_BAND = 25, 65
"""Percentiles of the lips' luminance between which neither gloss nor the gap between the lips counts."""
BROW_DARK = 1, 8
"""Percentiles of the brows' luminance: hairs, and not the skin between them."""
BROW_CONTRAST = 0.8
"""Brows that are not darker than this share of the skin are not seen."""
HAIR_BAND, GLOSS = (10, 45), 0.65
"""Percentiles of the hair's luminance, and what is left of it without gloss and the light that shines
through: on renders of known hair, a lock looks twice as bright as its strands are."""
BLACK = np.array([0.0075, 0.0062, 0.0058])
"""Hair is no darker."""
HAIR_LEAST, HAIR_SHARE = 400, 0.5
"""How many texels must show the scalp, and what share of them must be unlike skin: else it is bald or hidden.
"""


class Pictures(Protocol):
    """What of a `still.Still` is read."""

    @property
    def albedo(self) -> Array:
        """(S, S, 3) uint8 sRGB."""
        ...

    @property
    def coverage(self) -> Array:
        """(S, S) uint8."""
        ...


def still_colours(model: HeadModel, atlas: HeadAtlas, still: Pictures) -> tuple[dict[str, Array], float]:
    """(3,) linear albedo by "skin", "lip", "hair" and "brow", less those that the footage did not show; and
    the share of what was seen of the scalp that is hair.
    """
    import cv2

    regions, table = skin_regions(model), TexelTable.of(atlas, SIZE)
    albedo = to_linear(cv2.resize(still.albedo, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
    seen = cv2.resize(still.coverage, (SIZE, SIZE), interpolation=cv2.INTER_AREA) > 110
    seen &= table.chart == SKIN
    masks = table.sample(np.column_stack([regions.calm, regions.lip, regions.brow, regions.scalp]))
    skin, lip, brow, scalp = (
        albedo[seen & (masks[..., k] > level)] for k, level in enumerate((0.5, 0.6, 0.7, 0.6))
    )
    if len(skin) < LEAST:
        return {}, 0.0
    found = {"skin": band_colour(skin, 20, 80)}
    if len(lip) >= LEAST:
        found["lip"] = band_colour(lip, *LIP_BAND)
    hair, share = _hair(scalp, found["skin"])
    if hair is not None:
        found["hair"] = hair
    if len(brow) >= LEAST:
        colour = _brow(brow, hair)
        if colour @ LUMINANCE < BROW_CONTRAST * (found["skin"] @ LUMINANCE):
            found["brow"] = colour
    return found, share


def _hair(scalp: Array, skin: Array) -> tuple[Array | None, float]:
    """(3,) colour of the hair or None, and the share of texels ((n, 3)) that are no skin."""
    if len(scalp) < HAIR_LEAST:
        return None, 0.0
    apart = np.log(np.maximum(scalp, 1e-4) / skin)
    darker = np.abs(np.log(np.maximum(scalp @ LUMINANCE, 1e-4) / (skin @ LUMINANCE))) > 0.55
    other = np.abs(apart[:, 0] - apart[:, 2]) > 0.35
    unlike = scalp[darker | other]
    share = len(unlike) / len(scalp)
    if share < HAIR_SHARE:
        return None, share
    return np.maximum(GLOSS * band_colour(unlike, *HAIR_BAND), BLACK), share


def _brow(brow: Array, hair: Array | None) -> Array:
    """(3,): thin brows show skin between their hairs, but are hardly lighter than the hair of the head."""
    colour = np.maximum(band_colour(brow, *BROW_DARK), BLACK)
    if hair is None or colour @ LUMINANCE <= 1.2 * (hair @ LUMINANCE):
        return colour
    return 1.2 * hair


def band_colour(colours: Array, low: float, high: float) -> Array:
    """(3,) median of the colours ((n, 3)) whose luminance is between two percentiles of theirs."""
    level = colours @ LUMINANCE
    bottom, top = np.percentile(level, (low, high))
    return np.median(colours[(level >= bottom) & (level <= top)], axis=0)
