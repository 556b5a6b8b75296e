# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not belong to the skin: highlights, hands, strands of hair, clothes and background.

Frames are compared with each other where several show a place, and with the face's own colours at its
borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fit.calibration.paint import hair_cover
from ..head.atlas import SKIN, HeadAtlas
from ..head.model import HeadModel
from .colour import LUMINANCE
from .face_regions import is_face, triangle_regions
from .layers import COARSE, Layer, small
from .plain_skin import skin_regions
from .texels import TexelTable

Array = np.ndarray

AGREEMENT = 0.10
"""Relative difference (of square roots of light) from what most frames show, at which trust is a quarter."""
_SPREAD = np.array([0.45, 0.10, 0.14])
"""How far skin of a person strays: log luminance, log red over green, log blue over green."""


@dataclass(frozen=True)
class Places:
    """Parts of the head in the small atlas, (COARSE, COARSE) float32 0..1."""

    skin: Array
    """The chart."""
    face: Array
    """Face proper: believed whatever its colour."""
    scalp: Array
    """Where hair grows."""
    calm: Array
    """Cheeks and forehead."""


def places_of(model: HeadModel, atlas: HeadAtlas, size: int = COARSE) -> Places:
    """The parts of a model's head."""
    import cv2

    table = TexelTable.of(atlas, size)
    chart = (table.chart == SKIN).astype(np.float32)
    face = np.where(table.inside, is_face(triangle_regions(model, atlas))[table.triangle], False) * chart
    rest = model.rest(model.identity_coefficients())
    eyes = rest.joint_heads[
        [model.joint_names.index(str(model.roles[f"eye_{s}"])) for s in ("left", "right")]
    ]
    local = (rest.vertices - eyes.mean(axis=0)) / np.linalg.norm(eyes[0] - eyes[1])
    masks = np.column_stack([hair_cover(local), skin_regions(model).calm])
    scalp, calm = np.moveaxis(table.sample(masks), 2, 0)
    soft = cv2.GaussianBlur(face.astype(np.float32), (0, 0), size / 170)
    return Places(chart, np.clip(soft * 2 - 1, 0, 1) * chart, scalp * chart, calm * chart)


def judge(layers: Sequence[Layer], places: Places) -> Array:
    """Set the trust of the layers. Returns the skin's colour, (3,) float32 square root of linear albedo."""
    roots, weights = zip(*(small(layer) for layer in layers), strict=True)
    roots = np.stack([root * layer.factor for root, layer in zip(roots, layers, strict=True)])
    weights = np.stack(weights) * places.skin
    middle = masked_median(roots, weights)
    skin = skin_colour(middle, weights.max(axis=0) * places.calm)
    hair = hair_colour(middle, weights.max(axis=0) * places.scalp, skin)
    several = np.clip((weights > 0.1).sum(axis=0) - 2, 0, 1)
    for layer, root, _weight in zip(layers, roots, weights, strict=True):
        agreement = _agreement(root, middle)
        known = np.maximum(_likeness(root, skin), places.scalp * _likeness(root, hair, 2.0))
        border = places.face + (1 - places.face) * known
        layer.trust = (np.where(several > 0, agreement, 1.0) * border).astype(np.float32)
        layer.trust[places.skin == 0] = 1.0
    return skin


def masked_median(values: Array, weights: Array) -> Array:
    """(H, W, C) median of values (N, H, W, C) over the N whose weight (N, H, W) is not small; the mean of the
    two middle ones; 0 where there is none.
    """
    known = weights > 0.1 * weights.max(axis=0)
    sorted_ = np.sort(np.where(known[..., None], values, np.inf), axis=0)
    count = known.sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    take = [
        np.take_along_axis(sorted_, np.minimum(at, len(values) - 1)[None, ..., None], 0)[0]
        for at in (low, high)
    ]
    with np.errstate(invalid="ignore"):
        middle = 0.5 * (take[0] + take[1])
    return np.where(count[..., None] > 0, middle, 0).astype(np.float32)


def _agreement(root: Array, middle: Array) -> Array:
    """(H, W) 0..1."""
    scale = np.maximum(middle @ LUMINANCE, 0.05)
    off = np.sqrt(((root - middle) ** 2).mean(axis=2)) / scale
    return 1 / (1 + (off / AGREEMENT) ** 2) ** 2


def skin_colour(root: Array, weight: Array) -> Array:
    """(3,) float32 median of a picture of square roots ((H, W, 3)) where the weight is high."""
    chosen = weight > 0.5 * max(float(weight.max()), 1e-6)
    return np.median(root[chosen], axis=0).astype(np.float32) if chosen.any() else np.full(3, 0.6, np.float32)


def hair_colour(root: Array, weight: Array, skin: Array) -> Array:
    """(3,) the same for the scalp; the skin's own, darker, where none is seen."""
    chosen = weight > 0.3
    if np.count_nonzero(chosen) < 30:
        return (skin * np.float32(0.35)).astype(np.float32)
    return np.median(root[chosen], axis=0).astype(np.float32)


def _likeness(root: Array, colour: Array, width: float = 1.0) -> Array:
    """(H, W) 0..1: how well square roots fit a colour ((3,)), tolerant of shade, strict in hue."""
    off = (_opponent(root) - _opponent(colour)) / (width * _SPREAD)
    return 1 / (1 + ((off**2).sum(axis=-1) / 6) ** 3)


def _opponent(root: Array) -> Array:
    """Log luminance, log red over green and blue over green of squares."""
    linear = np.maximum(root, 0.02) ** 2
    green = np.log(linear[..., 1])
    return np.stack(
        [np.log(linear @ LUMINANCE), np.log(linear[..., 0]) - green, np.log(linear[..., 2]) - green], axis=-1
    )
