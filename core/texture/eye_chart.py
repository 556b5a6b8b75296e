# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes: seen through slits and under lashes, so what frames show is cleaned and completed.

An eye's chart is a disc about the pupil, in which the distance from the middle is the angle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .colour import LUMINANCE
from .layers import Layer, mean_of

Array = np.ndarray

WHITE = np.array([0.40, 0.365, 0.345], np.float32)
"""Linear albedo of the white where nobody saw it, in the shade that lids and lashes always leave."""
CORNER_SHADE = 0.65
"""Share of it in the corners of an eye, behind the lids, as albedo."""
CORNER = 0.36, 0.62
"""Where that shade begins and is full, as shares of the chart's radius."""
BRIGHTEST = 0.62
"""Linear luminance that no white exceeds."""
IRIS = np.array([0.075, 0.045, 0.028], np.float32)
"""Linear albedo of an iris that nobody saw."""
PUPIL = 0.006
IRIS_SHARE, PUPIL_SHARE = 0.283, 0.1
"""Radii in the chart as shares of its own: those of the model's eyeball."""
_LID = 0.05
"""How far lids and lashes are kept off what is believed, as a share of the chart's radius."""
_STEPS = 80


def eye_picture(
    layers: Sequence[Layer], box: tuple[slice, slice], inside: Array, scale: Array
) -> tuple[Array, Array]:
    """(h, w, 3) float32 square root of albedo of an eye's chart, complete, and (h, w) what of it was seen.

    inside: (h, w) bool, the disc. scale: what makes albedo of the layers' squares.
    """
    import cv2

    size = max(inside.shape)
    root, seen = mean_of(layers, box, erode=max(1, round(_LID * size / 2)))
    root, seen = root * np.sqrt(scale), seen * inside
    away = distance(inside)
    white = white_of(root, seen * (away > 1.15 * IRIS_SHARE))
    root = root * min(1.0, float(np.sqrt(BRIGHTEST) / (white @ LUMINANCE)))
    white = white * min(1.0, float(np.sqrt(BRIGHTEST) / (white @ LUMINANCE)))
    seen = seen * (1 - glints(root, seen, away))
    dark = (root @ LUMINANCE < 0.75 * float(white @ LUMINANCE)) & (away > 1.1 * IRIS_SHARE)
    dark = cv2.dilate(dark.astype(np.float32), np.ones((3, 3), np.uint8))
    known = seen * (1 - cv2.GaussianBlur(dark, (0, 0), size / 80)) * _ramp(away, 1.7 * IRIS_SHARE, IRIS_SHARE)
    known *= 1 - (1 - iris_trust(root, known, away, white)) * _ramp(away, 1.1 * IRIS_SHARE, 0.95 * IRIS_SHARE)
    whole = completed_eye(root, known, away, white)
    return whole / np.sqrt(scale), known


def alike_eyes(eyes: list[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
    """The eyes as they are, or, where one iris was seen much worse, that eye as the other's mirror image."""
    import cv2

    if len(eyes) != 2:
        return eyes
    amounts = [float(known[distance(known) < IRIS_SHARE].sum()) / known.size for _, known in eyes]
    worse = int(np.argmin(amounts))
    if amounts[worse] > 0.4 * amounts[1 - worse]:
        return eyes
    picture, known = eyes[worse][0], eyes[worse][1]
    size = (picture.shape[1], picture.shape[0])
    other = cv2.resize(np.ascontiguousarray(eyes[1 - worse][0][:, ::-1]), size)
    eyes = list(eyes)
    eyes[worse] = other, np.zeros_like(known)
    return eyes


def iris_trust(root: Array, known: Array, away: Array, white: Array) -> float:
    """0..1: whether what shows where the iris should be is an iris: through a narrow slit it is lids, in an
    eye that was fitted to look elsewhere the white.
    """
    weight = known * (away < 0.9 * IRIS_SHARE)
    share = float(weight.sum()) / max(float(np.count_nonzero(away < 0.9 * IRIS_SHARE)), 1.0)
    if share <= 0:
        return 0.0
    colour = (weight[..., None] * root**2).sum(axis=(0, 1)) / weight.sum()
    redness = float(colour[0] / max(float(colour[1]), 1e-6))
    brightness = float(np.sqrt((colour @ LUMINANCE) / max(float((white**2) @ LUMINANCE), 1e-6)))
    dark = np.clip((0.82 - brightness) / 0.12, 0, 1)
    return float(np.clip((2.8 - redness) / 0.7, 0, 1) * dark * np.clip(share / 0.2, 0, 1))


def glints(root: Array, seen: Array, away: Array) -> Array:
    """(h, w) float32 0..1: reflections on the iris, much brighter than what is as far from the pupil."""
    import cv2

    bright = root @ LUMINANCE
    ring = np.clip((away * _STEPS).astype(int), 0, 2 * _STEPS - 1)
    usual = np.full(2 * _STEPS, np.inf)
    for step in range(int(1.05 * IRIS_SHARE * _STEPS)):
        own = bright[(np.abs(ring - step) <= 2) & (seen > 0.2)]
        usual[step] = np.median(own) if len(own) else np.inf
    found = (bright > 1.35 * usual[ring] + 0.04).astype(np.uint8)
    reach = max(3, away.shape[0] // 40) | 1
    found = cv2.dilate(found, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return cv2.GaussianBlur(found.astype(np.float32), (0, 0), reach / 4)


def distance(inside: Array) -> Array:
    """(h, w) float32 from the middle of a disc, 1 at its rim."""
    height, width = inside.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) / (max(height, width) / 2)


def white_of(root: Array, weight: Array) -> Array:
    """(3,) the square root of the white's albedo: of what is bright there."""
    chosen = weight > 0.2
    if np.count_nonzero(chosen) < 40:
        return np.sqrt(WHITE)
    bright = root[chosen] @ LUMINANCE
    top = root[chosen][bright >= np.percentile(bright, 60)]
    return np.median(top, axis=0).astype(np.float32)


def completed_eye(root: Array, known: Array, away: Array, white: Array) -> Array:
    """What is known of an eye, else what is at the same distance from the pupil, else a plain eye."""
    ring = np.clip((away * _STEPS).astype(int), 0, 2 * _STEPS - 1)
    weight = np.bincount(ring.ravel(), known.ravel(), 2 * _STEPS)
    sums = [np.bincount(ring.ravel(), (known * root[..., c]).ravel(), 2 * _STEPS) for c in range(3)]
    means = np.stack(sums, axis=1) / np.maximum(weight, 1e-6)[:, None]
    at = (np.arange(2 * _STEPS) + 0.5) / _STEPS
    full = np.maximum(np.bincount(ring.ravel(), minlength=2 * _STEPS), 1)
    plain = plain_eye(at, means, weight, full, white)
    share = np.clip(weight / full * 4, 0, 1)[:, None] * (at < 1.25 * IRIS_SHARE)[:, None]
    profile = means * share + plain * (1 - share)
    place = np.clip(away * _STEPS - 0.5, 0, 2 * _STEPS - 1)
    steps = np.arange(2 * _STEPS)
    around = np.stack([np.interp(place, steps, profile[:, c]) for c in range(3)], axis=2)
    return (root * known[..., None] + around * (1 - known[..., None])).astype(np.float32)


def plain_eye(at: Array, means: Array, weight: Array, full: Array, white: Array) -> Array:
    """(n, 3) square root of albedo at distances `at` ((n,)): pupil, iris as far as it is known, white.

    means: (n, 3) of what is known at each distance, of a weight (n,) of at most `full` ((n,)).
    """
    within = weight * ((at > 1.2 * PUPIL_SHARE) & (at < 0.9 * IRIS_SHARE))
    iris = np.sqrt(IRIS)
    if within.sum() > 20:
        mean = (within[:, None] * means).sum(axis=0) / within.sum()
        share = min(1.0, float(within.sum()) / max(float(full[within > 0].sum()), 1.0) / 0.3)
        iris = mean * share + iris * (1 - share)
    outer = _ramp(at, 0.94 * IRIS_SHARE, 1.07 * IRIS_SHARE)[:, None]
    inner = _ramp(at, 1.15 * PUPIL_SHARE, 0.9 * PUPIL_SHARE)[:, None]
    coloured = iris * (1 - inner) + min(float(np.sqrt(PUPIL)), 0.6 * float(iris.mean())) * inner
    shaded = white * (1 - (1 - np.sqrt(CORNER_SHADE)) * _ramp(at, *CORNER)[:, None])
    return coloured * (1 - outer) + shaded * outer


def _ramp(value: Array, low: float, high: float) -> Array:
    """0 at `low`, 1 at `high` (which may be the smaller), smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
