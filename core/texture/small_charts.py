# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes, teeth and mouth: seen through slits and in shadow, so what frames show is cleaned and completed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .blend import completed
from .colour import LUMINANCE
from .fill import grain
from .layers import Layer

Array = np.ndarray

TEETH = np.array([0.56, 0.50, 0.41], np.float32)
"""Linear albedo of teeth where none were seen, and the level of those that were."""
FLESH = np.array([0.36, 0.12, 0.11], np.float32)
"""The same of gums and tongue."""
WHITE = np.array([0.62, 0.56, 0.52], np.float32)
"""Of the white of an eye that nobody saw."""
IRIS_SHARE = 0.29
"""Radius of the iris in an eye's chart, as a share of its own, where it cannot be measured."""
_LID = 0.06
"""How far lids and lashes are kept off what is believed of an eye, as a share of the chart's radius."""


def mean_of(layers: Sequence[Layer], box: tuple[slice, slice], erode: int = 0) -> tuple[Array, Array]:
    """(h, w, 3) float32 square root of footage over the frames, and (h, w) float32 0..1 how well seen."""
    total = np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start), np.float32)
    sums = np.zeros((*total.shape, 3), np.float32)
    for layer in layers:
        weight = layer.worth(box)
        if erode:
            weight = cv2.erode(weight, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * erode + 1,) * 2))
            weight = cv2.GaussianBlur(weight, (0, 0), erode / 2) * (weight > 0)
        weight = weight**2
        sums += layer.root(box) * weight[..., None]
        total += weight
    return sums / np.maximum(total, 1e-4)[..., None], np.minimum(total * 4, 1.0)


def eye_picture(layers: Sequence[Layer], box: tuple[slice, slice], inside: Array) -> tuple[Array, Array]:
    """(h, w, 3) float32 square root of albedo of an eye's chart, complete, and (h, w) what of it was seen."""
    size = inside.shape[0]
    root, seen = mean_of(layers, box, erode=max(1, round(_LID * size / 2)))
    y, x = np.mgrid[:size, : inside.shape[1]].astype(np.float32)
    x, y = x - (inside.shape[1] - 1) / 2, y - (size - 1) / 2
    away = np.hypot(x, y) / (inside.shape[1] / 2)
    white = white_of(root, seen * ((np.abs(away) > 1.15 * IRIS_SHARE) & inside))
    lids = (root @ LUMINANCE < 0.72 * float(white @ LUMINANCE)) & (away > 1.12 * IRIS_SHARE)
    known = seen * (1 - cv2.GaussianBlur(lids.astype(np.float32), (0, 0), size / 80))
    whole = around(root, known, away, white)
    return whole, known


def white_of(root: Array, weight: Array) -> Array:
    """(3,) the square root of the white's albedo: of what is bright there."""
    chosen = weight > 0.2
    if np.count_nonzero(chosen) < 40:
        return np.sqrt(WHITE)
    bright = root[chosen] @ LUMINANCE
    top = root[chosen][bright >= np.percentile(bright, 60)]
    return np.median(top, axis=0).astype(np.float32)


def around(root: Array, known: Array, away: Array, white: Array) -> Array:
    """An eye completed: what is at the same distance from the pupil ((H, W) `away`), else the white."""
    steps = 64
    ring = np.clip((away * steps).astype(int), 0, 2 * steps - 1)
    weight = np.bincount(ring.ravel(), known.ravel(), 2 * steps)
    profile = (
        np.stack(
            [np.bincount(ring.ravel(), (known * root[..., c]).ravel(), 2 * steps) for c in range(3)], axis=1
        )
        / np.maximum(weight, 1e-6)[:, None]
    )
    outer = np.arange(2 * steps) / steps > 1.15 * IRIS_SHARE
    profile[outer | (weight < 1)] = white
    found = np.nonzero(~outer & (weight >= 1))[0]
    if len(found):
        inner = ~outer & (weight < 1)
        nearest = found[np.abs(np.nonzero(inner)[0][:, None] - found).argmin(axis=1)]
        profile[inner] = profile[nearest]
    at = np.clip(away * steps - 0.5, 0, 2 * steps - 1)
    plain = np.stack([np.interp(at, np.arange(2 * steps), profile[:, c]) for c in range(3)], axis=2)
    return (root * known[..., None] + plain * (1 - known[..., None])).astype(np.float32)


def mouth_picture(
    layers: Sequence[Layer], box: tuple[slice, slice], plain: Array, scale: float
) -> tuple[Array, Array]:
    """(h, w, 3) float32 square root of albedo of teeth or flesh, complete, and (h, w) what of it was seen.

    plain: (3,) linear albedo where nothing was seen. Lips shade what is behind them: where it was seen, its
    brighter part gets the level of `plain`. scale: what makes albedo of the layers' squares.
    """
    root, seen = mean_of(layers, box, erode=1)
    target = np.sqrt(plain / scale).astype(np.float32)
    chosen = seen > 0.3
    if np.count_nonzero(chosen) > 60:
        bright = float(np.percentile(root[chosen] @ LUMINANCE, 75))
        root = root * np.clip(float(target @ LUMINANCE) / max(bright, 1e-3), 0.5, 3.0)
        away = np.abs(root - target).mean(axis=2) / float(target.mean())
        seen = seen / (1 + (away / 0.5) ** 4)
    else:
        seen = np.zeros_like(seen)
    noise = 1 + 0.6 * grain(seen.shape, [0.0, 0.01, 0.02])[..., None]
    whole = completed(root, seen)
    near = cv2.GaussianBlur(seen, (0, 0), seen.shape[1] / 30 + 1)[..., None]
    filled = (whole * np.minimum(2 * near, 1) + target * (1 - np.minimum(2 * near, 1))) * noise
    return root * seen[..., None] + filled * (1 - seen[..., None]), seen
