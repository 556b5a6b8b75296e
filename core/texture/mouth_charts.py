# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth, gums and tongue: seen now and then, in the shadow of the lips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..head.embedding import load_embedding
from ..head.model import HeadModel
from .blend import completed
from .colour import LUMINANCE
from .fill import grain
from .layers import Layer, mean_of

Array = np.ndarray

TEETH = np.array([0.56, 0.50, 0.41], np.float32)
"""Linear albedo of teeth in the light: the level of those that were seen."""
FLESH = np.array([0.36, 0.12, 0.11], np.float32)
"""The same of gums and tongue."""
TEETH_SHADE = 0.5, 0.009, 0.012
"""What lips leave of the light at the front teeth, how far behind the lips those stand (m), and the way (m)
on which a third is left of it farther in."""
FLESH_SHADE = 1.0, 0.0, 0.012
"""The same of gums, tongue and lining: they begin at the lips."""
_DARKEST = 0.02
_BOUNCE = np.array([1.0, 1.15, 1.15], np.float32)
"""What light is left has gone from flesh to flesh and reddens: powers of it."""
_INNER_LIPS = (13, 14)


def light_behind_lips(model: HeadModel, shade: tuple[float, float, float]) -> Array:
    """(V,) float32 0..1: the share of the light before a face that gets to each row of the model through
    the mouth, by its depth behind the closed lips of the model's default person.
    """
    front, start, way = shade
    rest = model.rest(model.identity_coefficients()).vertices
    lips = load_embedding(model).points(rest)[list(_INNER_LIPS), 2].mean()
    deep = np.maximum(lips - rest[:, 2] - start, 0.0)
    return np.maximum(front * np.exp(-deep / way), _DARKEST).astype(np.float32)


def mouth_picture(
    layers: Sequence[Layer], box: tuple[slice, slice], plain: Array, light: Array, scale: Array
) -> tuple[Array, Array]:
    """(h, w, 3) float32 square root of albedo of teeth or flesh, complete, and (h, w) what of it was seen.

    plain: (3,) linear albedo in the light. Lips shade what is behind them: where it was seen, its brighter
    part gets the level of `plain`; where nothing was, it is as dark as `light` ((h, w) 0..1, 0 beside the
    chart) leaves it. scale: what makes albedo of the layers' squares.
    """
    import cv2

    root, seen = mean_of(layers, box, erode=1)
    seen = seen * _hue_share(root, np.sqrt(plain / scale)) * (light > 0)
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
    dark = target * np.sqrt(light)[..., None] ** _BOUNCE
    filled = (whole * np.minimum(2 * near, 1) + dark * (1 - np.minimum(2 * near, 1))) * noise
    return root * seen[..., None] + filled * (1 - seen[..., None]), seen


def _hue_share(root: Array, wanted: Array) -> Array:
    """(h, w) float32 0..1: 1 where red over green is that of `wanted` ((3,)): lips are no teeth."""
    ratio = np.log(np.maximum(root[..., 0], 0.02) / np.maximum(root[..., 1], 0.02))
    off = np.abs(ratio - np.log(wanted[0] / wanted[1]))
    return np.clip((0.26 - off) / 0.1, 0, 1).astype(np.float32)
