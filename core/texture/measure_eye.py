# SPDX-License-Identifier: GPL-3.0-or-later
"""Size and colour of the iris, the pupil and the white, from patches of eyes in several frames.

The edge of the iris is where circles of growing radius brighten most (Daugman 1993, "High confidence visual
recognition of persons by a test of statistical independence", his integro-differential operator), over the
sides that lids leave free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .colour import LUMINANCE
from .eye_patch import HALF, SIZE, EyePatch

Array = np.ndarray

STEP = 0.01
RADII = np.arange(0.02, 0.64, STEP)
"""Circles that are looked along, in radii of the eyeball."""
TURNS = np.radians(np.arange(0.0, 360.0, 5.0))
"""Places on them: 0 to the subject's left, counter-clockwise as the viewer sees it."""
IRIS_LIMITS, PUPIL_LIMITS = (0.30, 0.45), (0.2, 0.6)
"""Believable radii: of the iris on the eyeball, of the pupil on the iris."""
OFFSET = 0.12
"""How far the fitted gaze may put the middle of the iris off, in radii of the eyeball."""
CONTRAST = 1.5
"""White over iris, in linear light, below which no iris is seen."""
PUPIL_CONTRAST = 1.7
EDGE = 9.0
"""How steep the edge must be: the white's excess over the iris per radius of the eyeball; blurred or covered
eyes stay below."""
LEAST_PX = 8.0
"""Smallest iris, px across, that tells anything."""
WHITE = np.array([0.70, 0.665, 0.635])
"""The white of an eye in plain light."""
SHADED, SHARED = (0.2, 1.15), 0.5
"""Between these shares of `WHITE` the white of a lit eye lies; what lids and lashes take away from it they
take from the iris, in the open middle, to this power."""
VEIL = 0.6
"""How much of the light in the pupil is such a veil; the rest comes in from the iris by blur."""
DARKEST = 0.02
"""Luminance of the darkest brown eyes."""
FIBRES = 1.12
"""How much brighter than its main colour an iris is on average, by its light fibres: as the eye's material
has it."""
PALER = 0.25
"""How much less red than the skin (log of red over blue) a white must be: else it is a lid."""
TRUST, TINGE = 0.3, 0.06
"""How far a white's own tinge is believed, and how much of it (log) at most: pictures carry the skin's colour
over into it, and light has a colour too."""


@dataclass(frozen=True)
class EyeMeasure:
    """What the eyes showed; None for what they did not."""

    iris_radius: float | None = None
    """Share of the eyeball's radius."""
    pupil: float | None = None
    """Radius as a share of the iris's."""
    iris: Array | None = None
    """(3,) linear albedo."""
    white: Array | None = None
    """(3,) linear albedo."""
    patches: int = 0
    """How many eyes in how many frames told it."""


@dataclass(frozen=True)
class _Seen:
    """One patch."""

    radius: float
    pupil: float | None
    iris: Array
    white: Array
    steep: float


def measure_eyes(patches: Sequence[EyePatch], skin: Array) -> EyeMeasure:
    """What the patches agree on: medians over those that show an iris with an edge. skin: (3,) linear albedo
    of the face, at the level of the patches.
    """
    seen = [found for found in (_measured(patch, skin) for patch in patches) if found is not None]
    if len(seen) < min(2, len(patches)) or not seen:
        return EyeMeasure()
    best = sorted(seen, key=lambda one: -one.steep)[: max(4, len(seen) // 2)]
    radius = float(np.median([one.radius for one in best]))
    pupils = [one.pupil for one in best if one.pupil is not None]
    pupil = float(np.clip(np.median(pupils), *PUPIL_LIMITS)) if len(pupils) > 0.5 * len(best) else None
    iris, white = (np.median([getattr(one, name) for one in best], axis=0) for name in ("iris", "white"))
    iris = np.clip(iris * max(1.0, DARKEST / max(float(iris @ LUMINANCE), 1e-4)), 0.002, 0.6)
    return EyeMeasure(float(np.clip(radius, *IRIS_LIMITS)), pupil, iris, white, len(best))


def _measured(patch: EyePatch, skin: Array) -> _Seen | None:
    if patch.iris_px < LEAST_PX:
        return None
    bright = np.sqrt(np.maximum(patch.linear @ LUMINANCE, 0.0)).astype(np.float32)
    found = _limbus(bright, patch.free)
    if found is None:
        return None
    centre, radius, steep = found
    linear, free = _around(patch.linear, centre), _around(patch.free, centre)
    white = _white(linear, free, radius)
    if white is None or steep < EDGE or _redness(white) > _redness(skin) - PALER:
        return None
    shaded = float(np.clip((white @ LUMINANCE) / (WHITE @ LUMINANCE), *SHADED))
    iris = _iris(linear, free, radius)
    if iris is None or white @ LUMINANCE < CONTRAST * (iris @ LUMINANCE):
        return None
    return _Seen(
        radius,
        _pupil(linear, free, radius),
        iris / shaded**SHARED / FIBRES,
        _plausible(white / shaded),
        steep,
    )


def _limbus(bright: Array, free: Array) -> tuple[Array, float, float] | None:
    """Middle (x, y) and radius of the iris in radii of the eyeball, and how steep its edge is."""
    centre, best = np.zeros(2), (-1.0, 0.0)
    for reach, count in ((OFFSET, 7), (OFFSET / 6, 3), (OFFSET / 12, 3)):
        steps, start = np.linspace(-reach, reach, count), centre
        for step in ((x, y) for y in steps for x in steps):
            tried = np.clip(start + np.array(step), -OFFSET, OFFSET)
            found = _edge(bright, free, tried)
            if found[0] > best[0]:
                centre, best = tried, found
    rise, radius = best
    if rise <= 0:
        return None
    ring, open_ = _around(bright, centre), _around(free, centre)
    inner, outer = _level(ring, open_, 0.5 * radius, 0.85 * radius), _level(ring, open_, 1.15 * radius, 0.62)
    if inner is None or outer is None or outer <= inner:
        return None
    return centre, radius, rise / (outer - inner)


_NEAR = slice(*np.searchsorted(RADII, (IRIS_LIMITS[0] - 0.06, IRIS_LIMITS[1] + 0.06)))
_SIDES = 1.0 - 0.75 * np.sin(TURNS) ** 2
_SPAN = 4
"""Steps of radius over which a rise is measured."""


def _edge(bright: Array, free: Array, centre: Array) -> tuple[float, float]:
    """How fast brightness rises, at most, along circles about `centre`, and the radius there."""
    ring, open_ = _around(bright, centre, _NEAR), _around(free, centre, _NEAR)
    weight = np.minimum(open_[_SPAN:], open_[:-_SPAN]) * _SIDES
    total = weight.sum(axis=1)
    rise = ((ring[_SPAN:] - ring[:-_SPAN]) * weight).sum(axis=1) / np.maximum(total, 1e-6)
    rise = np.where(total > 0.2 * _SIDES.sum(), rise / (_SPAN * STEP), -1.0)
    rise -= 0.08 * float(centre @ centre) / OFFSET**2
    at = int(np.argmax(rise))
    return float(rise[at]), float(RADII[_NEAR][at + _SPAN // 2])


def _level(ring: Array, free: Array, low: float, high: float) -> float | None:
    rows = slice(*np.searchsorted(RADII, (low, high)))
    chosen = ring[rows][free[rows] > 0.6]
    return float(np.median(chosen)) if len(chosen) > 20 else None


def _around(values: Array, centre: Array, radii: slice = slice(None)) -> Array:
    """(radii, turns[, C]) values of a patch along circles about `centre` ((2,) radii of the eyeball)."""
    import cv2

    x = (centre[0] + RADII[radii, None] * np.cos(TURNS)) / HALF
    y = (centre[1] + RADII[radii, None] * np.sin(TURNS)) / HALF
    column, row = ((1 + x) * SIZE / 2 - 0.5).astype(np.float32), ((1 - y) * SIZE / 2 - 0.5).astype(np.float32)
    return cv2.remap(values, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _iris(linear: Array, free: Array, radius: float) -> Array | None:
    """(3,) the colour between pupil and outer ring. Mirrored windows only add light: what is brighter than
    most is left out; so is the upper part, which lies in the shadow of the lid. A pupil is black: part of
    what it shows is a mirrored veil that lies over all.
    """
    chosen = _chosen(linear, free, 0.5 * radius, 0.84 * radius, np.sin(TURNS) < 0.45)
    if len(chosen) < 30:
        return None
    level = chosen @ LUMINANCE
    low, high = np.percentile(level, (10, 55))
    found = np.median(chosen[(level >= low) & (level <= high)], axis=0)
    middle = _chosen(linear, free, 0.0, 0.25 * radius, np.sin(TURNS) < 0.9)
    if len(middle) < 20:
        return found
    veil = VEIL * np.percentile(middle, 20, axis=0)
    return found - np.minimum(veil, 0.4 * found)


def _white(linear: Array, free: Array, radius: float) -> Array | None:
    """(3,) the colour beside the iris: the brighter part of what is free, less glints."""
    chosen = _chosen(linear, free, 1.2 * radius, 1.75 * radius, np.abs(np.sin(TURNS)) < 0.6)
    if len(chosen) < 20:
        return None
    level = chosen @ LUMINANCE
    low, high = np.percentile(level, (55, 92))
    return np.median(chosen[(level >= low) & (level <= high)], axis=0)


def _chosen(linear: Array, free: Array, low: float, high: float, turns: Array) -> Array:
    rows = slice(*np.searchsorted(RADII, (low, high)))
    return linear[rows][:, turns][free[rows][:, turns] > 0.6]


def _pupil(linear: Array, free: Array, radius: float) -> float | None:
    """Share of the iris where a dark pupil ends; None where iris and pupil are too alike."""
    level = linear @ LUMINANCE
    below = np.where((free > 0.6) & (np.sin(TURNS) < 0.6), level, np.nan)
    shares = np.arange(0.1, 0.8, 0.02)
    counts = np.isfinite(below).sum(axis=1)
    rows = counts > 8
    if not rows[: np.searchsorted(RADII, 0.6 * radius)].all():
        return None
    profile = np.interp(shares * radius, RADII[rows], np.nanpercentile(below[rows], 35, axis=1))
    dark, lit = (
        np.median(profile[shares < 0.22]),
        np.percentile(profile[(shares > 0.5) & (shares < 0.78)], 60),
    )
    if lit < PUPIL_CONTRAST * max(dark, 1e-4):
        return None
    half = 0.5 * (np.sqrt(dark) + np.sqrt(lit))
    outside = np.flatnonzero((np.sqrt(profile) > half) & (shares >= PUPIL_LIMITS[0]))
    return float(shares[outside[0]]) if len(outside) else None


def _plausible(white: Array) -> Array:
    """(3,) a white of the usual level whose tinge is within what eyes have."""
    tinge = np.log(np.maximum(white, 1e-3) / WHITE)
    return WHITE * np.exp(np.clip(TRUST * (tinge - tinge[1]), -TINGE, TINGE))


def _redness(colour: Array) -> float:
    return float(np.log(max(float(colour[0]), 1e-4) / max(float(colour[2]), 1e-4)))
