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
from ..head.embedding import load_embedding
from ..head.model import HeadModel
from .colour import LUMINANCE
from .face_regions import is_face, triangle_regions
from .layers import COARSE, Layer, small
from .plain_skin import CHIN, skin_regions
from .texels import TexelTable

Array = np.ndarray

AGREEMENT = 0.10
"""Relative difference (of square roots of light) from what most frames show, at which trust is a quarter."""
FRINGE = 0.55
"""How far (eye distances) hair hangs over the forehead and still may stay."""
SHADE = 0.6
"""By how much (log luminance) the jaw may shade the neck."""
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
    fringe: Array
    """Where hair may be seen: the scalp and the forehead under it."""
    neck: Array
    """Below the jaw: shaded by it, and dressed at its lower end."""
    collar: Array
    """Where most people's clothes begin."""
    plain: Array
    """Bare skin of the face."""
    even: Array
    """Skin of face, jaw and neck, lips and brows included: alike on both sides."""
    back: Array
    """The back of head and neck, where the chart's two ends meet."""
    symmetric: bool
    """Whether the chart's left half is the mirror image of its right."""


def places_of(model: HeadModel, atlas: HeadAtlas, size: int = COARSE) -> Places:
    """The parts of a model's head."""
    import cv2

    table = TexelTable.of(atlas, size)
    chart = (table.chart == SKIN).astype(np.float32)
    face = np.where(table.inside, is_face(triangle_regions(model, atlas))[table.triangle], False) * chart
    rest = model.rest(model.identity_coefficients())
    joints = [model.joint_names.index(str(model.roles[role])) for role in ("eye_left", "eye_right")]
    eyes = rest.joint_heads[joints]
    unit = np.linalg.norm(eyes[0] - eyes[1])
    local = table.sample((rest.vertices - eyes.mean(axis=0)) / unit)
    flat = local.reshape(-1, 3)
    lowered = flat + np.outer(FRINGE * np.clip((flat[:, 2] + 1.2) * 2, 0.3, 1), [0.0, 1.0, 0.0])
    scalp, fringe = (hair_cover(place).reshape(size, size) * chart for place in (flat, lowered))
    jaw = ((load_embedding(model).points(rest.vertices)[CHIN] - eyes.mean(axis=0)) / unit)[1]
    soft = np.clip(2 * cv2.GaussianBlur(face.astype(np.float32), (0, 0), size / 170) - 1, 0, 1) * chart
    neck = np.clip((jaw + 0.3 - local[..., 1]) / 0.3, 0, 1) * (1 - soft) * chart
    collar = np.clip((jaw - 0.4 - local[..., 1]) / 0.25, 0, 1) * neck
    plain = table.sample(skin_regions(model).plain[:, None])[..., 0] * chart
    even = cv2.GaussianBlur(np.maximum(soft, neck), (0, 0), size / 170) * (1 - scalp) * chart
    back = np.clip((-1.9 - local[..., 2]) / 0.4, 0, 1) * chart
    parts = (chart, soft, scalp, fringe, neck, collar, plain, even, back)
    chart, *others = (part.astype(np.float32) for part in parts)
    return Places(chart, *others, symmetric=_symmetric(local, chart > 0))


def _symmetric(local: Array, inside: Array) -> bool:
    """Whether places (S, S, 3), in eye distances, lie opposite each other on the head and on the chart."""
    both = inside & inside[:, ::-1]
    if 2 * np.count_nonzero(both) < np.count_nonzero(inside):
        return False
    off = local[both] - local[:, ::-1][both] * (-1, 1, 1)
    return float(np.linalg.norm(off, axis=1).mean()) < 0.05


@dataclass(frozen=True)
class Tones:
    """Square roots of linear albedo of a person, (3,) float32."""

    skin: Array
    hair: Array


def judge(layers: Sequence[Layer], places: Places) -> Tones:
    """Set the trust of the layers."""
    roots, weights = zip(*(small(layer) for layer in layers), strict=True)
    roots = np.stack([root * layer.factor for root, layer in zip(roots, layers, strict=True)])
    weights = np.stack(weights) * places.skin
    middle, most = masked_median(roots, weights), weights.max(axis=0)
    skin = skin_colour(middle, most * places.plain)
    hair = hair_colour(middle, most * places.scalp, skin)
    several = (weights > 0.1).sum(axis=0) > 2
    agreement = _agreement(roots, middle, weights)
    bare = bare_neck(middle, most, skin, places)
    for layer, root, agreed in zip(layers, roots, agreement, strict=True):
        layer.broad = root
        known = np.maximum(
            likeness(root, skin, shade=SHADE * places.neck),
            places.fringe * likeness_between(root, hair, skin),
        )
        border = (places.face + (1 - places.face) * known) * bare
        trust = np.where(several, agreed, 1.0) * border
        layer.trust = np.where(places.skin > 0, trust, 1.0).astype(np.float32)
    return Tones(skin, hair)


def bare_neck(middle: Array, weight: Array, skin: Array, places: Places) -> Array:
    """(H, W) 0..1: neck down to the first thing that is no skin, and a little less; 1 elsewhere."""
    import cv2

    like = np.where((weight > 0.05) & (places.neck > 0.2), likeness(middle, skin, 1.1, SHADE), 1.0)
    like = cv2.GaussianBlur(like.astype(np.float32), (0, 0), 1.5)
    like = np.minimum.accumulate(like, axis=0)
    like = np.clip(2.5 * cv2.erode(like, np.ones((7, 7), np.uint8)) - 0.75, 0, 1)
    return 1 - places.neck * (1 - cv2.GaussianBlur(like, (0, 0), 1.5) * (1 - places.collar))


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


def _agreement(roots: Array, middle: Array, weights: Array) -> Array:
    """(N, H, W) 0..1 how far each of the pictures (N, H, W, 3) is what most show; 1 for the nearest."""
    import cv2

    scale = np.maximum(middle @ LUMINANCE, 0.05)
    agreed = []
    for root, weight in zip(roots, weights, strict=True):
        known = (weight > 0.05).astype(np.float32)
        off = cv2.GaussianBlur((root - middle) * known[..., None], (0, 0), 1.2)
        off /= np.maximum(cv2.GaussianBlur(known, (0, 0), 1.2), 0.05)[..., None]
        agreed.append(known / (1 + (np.sqrt((off**2).mean(axis=2)) / scale / AGREEMENT) ** 2) ** 2)
    most = np.max(agreed, axis=0)
    return np.stack(agreed) / np.maximum(most, 1e-3)


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


def likeness(root: Array, colour: Array, width: float = 1.0, shade: float | Array = 0.0) -> Array:
    """(H, W) 0..1: how well square roots fit a colour ((3,)), tolerant of shade, strict in hue; so much
    darker (log luminance) is no difference.
    """
    off = _opponent(root) - _opponent(colour)
    off[..., 0] += np.minimum(np.maximum(-off[..., 0], 0), shade)
    off /= width * _SPREAD
    return 1 / (1 + ((off**2).sum(axis=-1) / 6) ** 3)


def likeness_between(root: Array, hair: Array, skin: Array) -> Array:
    """(H, W) 0..1: how well square roots fit hair over skin: any mixture of their colours."""
    axis = _opponent(hair) - _opponent(skin)
    scaled = axis / _SPREAD
    off = (_opponent(root) - _opponent(skin)) / _SPREAD
    share = np.clip((off @ scaled) / max(float(scaled @ scaled), 1e-6), 0, 1.3)
    off = (off - share[..., None] * scaled) / 2.0
    return 1 / (1 + ((off**2).sum(axis=-1) / 6) ** 3)


def _opponent(root: Array) -> Array:
    """Log luminance, log red over green and blue over green of squares."""
    linear = np.maximum(root, 0.02) ** 2
    green = np.log(linear[..., 1])
    return np.stack(
        [np.log(linear @ LUMINANCE), np.log(linear[..., 0]) - green, np.log(linear[..., 2]) - green], axis=-1
    )
