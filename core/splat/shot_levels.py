# SPDX-License-Identifier: GPL-3.0-or-later
"""A training picture at full and at half size, ready to be compared with what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .loss import Loss
from .training_set import Shot
from .view import View

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Level:
    """One picture at one size."""

    shot: Shot
    losses: tuple[SeenLoss, ...]
    """Over each of the backdrops."""
    matte: Array
    """(h, w) float32 0..1."""
    weight_share: Array
    """(h, w) float32 weight by its mean."""


class SeenLoss:
    """The loss of what counts in a picture: where it does not, the drawn picture is taken for right. Windows
    of SSIM reach beyond what counts, and would make crumbs of wild colours out of whatever lies there.
    """

    def __init__(self, target: Array, weight: Array) -> None:
        """`target` (h, w, 3) and `weight` (h, w), both uint8 and kept."""
        self._loss, self._target, self._weight = Loss(target, weight), target, weight
        rows = np.flatnonzero((weight < 255).any(axis=1))
        self._rows = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)

    def __call__(self, image: Array, threads: int | None = None) -> tuple[float, Array]:
        """-> the loss of the drawn picture (h, w, 3), and its gradient (h, w, 3) float32."""
        rows, byte = self._rows, np.float32(1 / 255)
        counts = self._weight[rows, :, None] * byte
        seen = np.array(image, np.float32)
        seen[rows] = counts * seen[rows] + (1 - counts) * (self._target[rows] * byte)
        value, slopes = self._loss(seen, threads)
        slopes[rows] *= counts
        return value, slopes


class ShotLevels:
    """Makes the levels of a shot when they are asked for, and keeps them."""

    def __init__(self, shot: Shot, backdrops: Sequence[tuple[float, float, float]]) -> None:
        """`backdrops`: colours of 0..1. Over only one of them Gaussians would be painted in its colour."""
        self.shot, self._backdrops = shot, backdrops
        self._made: dict[int, Level] = {}

    def at(self, factor: int) -> Level:
        """The picture `factor` times smaller."""
        if factor not in self._made:
            self._made = {factor: self._level(factor)}  # a run goes from coarse to fine once
        return self._made[factor]

    def _level(self, factor: int) -> Level:
        shot = self.shot
        if factor > 1:
            shot = smaller(shot, factor)
        matte, weight = shot.matte, shot.weight
        targets = [on_background(shot.image, matte, colour) for colour in self._backdrops]
        share = weight / max(float(weight.mean()), 1e-6)
        return Level(shot, tuple(SeenLoss(target, shot.weight8) for target in targets), matte, share)


def on_background(image: Array, matte: Array, background: Any) -> Array:
    """(h, w, 3) uint8: a picture (h, w, 3) uint8 under its matte (h, w), over one colour of 0..1."""
    mixed = matte[..., None] * image + (1.0 - matte[..., None]) * (255.0 * np.asarray(background, np.float32))
    return np.rint(mixed).astype(np.uint8)


def smaller(shot: Shot, factor: int) -> Shot:
    """The shot with pixels `factor` times as wide; a rest at the right and lower border is cut off."""
    import cv2

    height, width = (side // factor for side in shot.matte8.shape)
    inner = slice(0, height * factor), slice(0, width * factor)
    image, matte8, weight8 = (
        cv2.resize(np.ascontiguousarray(one[inner]), (width, height), interpolation=cv2.INTER_AREA)
        for one in (shot.image, shot.matte8, shot.weight8)
    )
    v = shot.view
    view = View(
        width, height, v.fx / factor, v.fy / factor, v.cx / factor, v.cy / factor, v.T_view_world, v.near
    )
    return replace(shot, image=image, matte8=matte8, weight8=weight8, view=view)
