# SPDX-License-Identifier: GPL-3.0-or-later
"""The level of a still, and how what was not seen, and the lower edge, take the person's own tone."""

from __future__ import annotations

import numpy as np

from .colour import LUMINANCE
from .fill import continued, grain_of, mirrored, with_other_side
from .tones import tone, tone_luminance

Array = np.ndarray

REACH, NEAR = 0.16, 0.02
"""How far what is seen tints what is not, and how far it goes on: shares of the atlas."""

BROAD = 64
"""Side of an atlas that shows broad shades only."""
GLOSS, DULLED = 0.17, 0.6
"""How much brighter (natural logarithm of the root) than usual skin is before it counts as gloss, and how far
that is taken back."""
GRAIN, FINEST, COARSEST = 0.7, 0.005, 0.014
"""Share of the grain of seen skin that invented skin gets, and the least and most of it."""
CAST = 0.5
"""How far the hue of skin is brought to that of skin in white light."""
MOST_APART = 0.15
"""Half the difference of the sides (natural logarithm of the root) up to which light is its cause."""


def level_for(skin: Array, melanin: float | None) -> Array:
    """(3,) float32 by what linear albedo is multiplied so that skin of the square root `skin` ((3,)) is as
    bright as skin with so much melanin, and half of the way to its hue: the light's own colour is in what was
    seen.
    """
    seen = np.maximum(skin.astype(np.float64) ** 2, 1e-6)
    factor = (np.array(tone(melanin)) / seen) ** CAST
    return (factor * tone_luminance(melanin) / ((factor * seen) @ LUMINANCE)).astype(np.float32)


def prior(scalp: Array, chart: Array, skin: Array, hair: Array) -> Array:
    """(H, W, 3) float32 what is expected where nothing was seen: skin, and hair on the scalp ((H, W) 0..1);
    chart: (H, W) 1 within the skin's chart, beyond which `scalp` has no meaning.
    """
    import cv2

    sigma = max(scalp.shape[1] / 200, 0.8)
    soft = cv2.GaussianBlur(scalp * chart, (0, 0), sigma) / np.maximum(
        cv2.GaussianBlur(chart, (0, 0), sigma), 1e-3
    )
    return (skin + soft[..., None] * (hair - skin)).astype(np.float32)


def evened(root: Array, towards: Array, amount: Array, alike: Array) -> Array:
    """The picture ((H, W, 3), all columns of the atlas) with its broad shades brought `amount` ((H, W) 0..1)
    of the way to those of `towards` ((H, W, 3)), for shadows of jaw and hair are no colour of the skin; and
    `alike` ((H, W) 0..1) of the way to what the other side has, for no face is darker on one. There broad
    gloss is dulled too.
    """
    import cv2

    size = (BROAD, max(round(BROAD * root.shape[0] / root.shape[1]), 1))
    broad, wanted = (cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (root, towards))
    broad = cv2.GaussianBlur(broad, (0, 0), 2.0)
    share, other = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (amount, alike))
    broad = np.log(np.maximum(broad, 0.02))
    change = np.clip(np.log(np.maximum(wanted, 0.02)) - broad, -0.7, 0.7) * share[..., None]
    excess = np.log(np.maximum(np.exp(broad + change) @ LUMINANCE, 0.02) / (wanted @ LUMINANCE)) - GLOSS
    change -= DULLED * (np.maximum(excess, 0) * other)[..., None]
    broad = broad + change
    apart = (mirrored(broad) - broad) / 2
    trust = np.minimum(other, mirrored(other)) * np.clip(2 - np.abs(apart).max(axis=2) / MOST_APART, 0, 1)
    change += apart * trust[..., None]
    return root * np.exp(cv2.resize(change, root.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def made_whole(root: Array, seen: Array, expected: Array, levels: int) -> Array:
    """Fill what was not seen: from the other side, then continued into what is expected.

    root: (H, W, 3) float32 square root of albedo; seen: (H, W) 0..1; expected: as `prior`; levels: of the
    blend with the other side, 0 for a chart that has none.
    """
    both, known = with_other_side(root, seen, levels) if levels else (root, seen)
    return continued(both, known, expected, root.shape[1] * REACH, root.shape[1] * NEAR)


def grain_strength(root: Array, where: Array) -> float:
    """Of the grain that invented skin gets, by that of skin that was seen: `root` ((H, W, 3)) where it is
    plain, `where` ((H, W) bool).
    """
    if np.count_nonzero(where) < 1000:
        return FINEST
    grey = root @ LUMINANCE
    return float(np.clip(GRAIN * grain_of(grey, where, 1)[0] / grey[where].mean(), FINEST, COARSEST))


def with_plain_edge(root: Array, blend: Array, skin: Array) -> Array:
    """The picture, drifting to the plain skin colour where the body takes over: `blend` (H, W) falls to 0."""
    share = np.clip(blend, 0, 1)[..., None]
    return root * share + skin * (1 - share)
