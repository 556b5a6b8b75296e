# SPDX-License-Identifier: GPL-3.0-or-later
"""How near the Gaussians come to pictures of the head: PSNR and SSIM inside the matte."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .shot_levels import on_background
from .training_set import Shot

if TYPE_CHECKING:
    from .trainer import Trainer

Array = np.ndarray

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Score(NamedTuple):
    """Means over pictures."""

    psnr: float
    """dB of 8-bit pictures inside the head's matte."""
    ssim: float
    """Of luma, in the same place."""


def evaluate(trainer: Trainer, shots: Iterable[Shot]) -> Score:
    """Draw each shot as the avatar stands now and compare it with its picture under its matte."""
    found = [score(shot, *_drawn(trainer, shot)) for shot in shots]
    return Score(*(float(np.mean(values)) for values in zip(*found, strict=True)))


def score(shot: Shot, drawn: Array, target: Array) -> Score:
    """Of one drawn picture (h, w, 3) uint8 and the footage over the same background."""
    inside = (shot.matte8 > 127) & (shot.weight8 > 127)
    if not inside.any():
        return Score(float("nan"), float("nan"))
    off = drawn[inside].astype(np.float64) - target[inside]
    error = max(float(np.mean(off**2)), 1e-6)
    return Score(10.0 * float(np.log10(255.0**2 / error)), float(ssim_map(drawn, target)[inside].mean()))


def ssim_map(picture: Array, footage: Array) -> Array:
    """(h, w) float32 structural similarity of the luma (Wang et al. 2004, equation 13)."""
    import cv2

    def blurred(values: Array) -> Array:
        return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)

    a, b = (one.astype(np.float32) @ _LUMA for one in (picture, footage))
    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    both = blurred(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + _C1) * (2 * both + _C2)
    return top / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))


def _drawn(trainer: Trainer, shot: Shot) -> tuple[Array, Array]:
    from .trainer import BACKGROUND

    image, _ = trainer.picture(shot)
    drawn = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    return drawn, on_background(shot.image, shot.matte, BACKGROUND)
