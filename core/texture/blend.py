# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending pictures of one surface in frequency bands (Burt and Adelson 1983, "A multiresolution spline with
application to image mosaics"), where each picture knows only a part of the surface.

Fine bands come from the picture that shows a place best, coarse ones from all that show it: neither doubled
detail nor a border. Bands are made from premultiplied pictures, so what is not seen bleeds into nothing.
Colours should be in a perceptual scale such as the square root of linear light.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

_LEAST = 1e-3
"""Weight below which nothing was seen."""


def down(picture: Array) -> Array:
    """Half the size, smoothed, float32 (H, W) or (H, W, C); H and W even."""
    import cv2

    return cv2.pyrDown(picture, borderType=cv2.BORDER_REFLECT_101)


def up(picture: Array) -> Array:
    """Double the size, smooth."""
    import cv2

    return cv2.pyrUp(picture, borderType=cv2.BORDER_REFLECT_101)


class Bands:
    """A blend that pictures are added to one by one; only the sums are kept."""

    def __init__(self, shape: tuple[int, int], levels: int = 5) -> None:
        """shape: (H, W) of the pictures, multiples of 2 ** levels."""
        if any(side % 2**levels for side in shape):
            raise ValueError(f"{shape} cannot be halved {levels} times")
        self.levels = levels
        sizes = [(shape[0] >> k, shape[1] >> k) for k in range(levels + 1)]
        self._sums = [np.zeros((*size, 3), np.float32) for size in sizes]
        self._weights = [np.zeros(size, np.float32) for size in sizes]

    def add(
        self, picture: Array, seen: Array, sharp: Array, smooth: Array, corner: tuple[int, int] = (0, 0)
    ) -> None:
        """Add one picture ((h, w, 3) float32), whole or a part whose upper left lies at `corner` (row,
        column); all of these are multiples of 2 ** levels.

        seen: (h, w) float32 0..1, how surely it shows the place. sharp, smooth: (h, w) float32, its share in
        the finest band and in the coarsest; 0 where it is not seen.
        """
        colour, mask = picture * seen[..., None], seen
        for level in range(self.levels):
            next_colour, next_mask = down(colour), down(mask)
            base = next_colour / np.maximum(next_mask, _LEAST)[..., None]
            detail = colour / np.maximum(mask, _LEAST)[..., None] - up(base)
            share = level / self.levels
            self._put(level, corner, detail, (1 - share) * sharp + share * smooth, mask)
            colour, mask = next_colour, next_mask
            sharp, smooth = down(sharp), down(smooth)
        self._put(self.levels, corner, colour / np.maximum(mask, _LEAST)[..., None], smooth, mask)

    def _put(self, level: int, corner: tuple[int, int], band: Array, share: Array, mask: Array) -> None:
        share = share * (mask > _LEAST)
        top, left = (place >> level for place in corner)
        part = slice(top, top + band.shape[0]), slice(left, left + band.shape[1])
        self._sums[level][part] += band * share[..., None]
        self._weights[level][part] += share

    def result(self) -> Array:
        """(H, W, 3) float32, complete: where nothing was seen it continues smoothly what is around."""
        low = _means(self._sums[-1], self._weights[-1])
        low = completed(low, np.minimum(self._weights[-1] / 0.1, 1.0))
        for total, weight in zip(self._sums[-2::-1], self._weights[-2::-1], strict=True):
            # Detail fades where hardly anything was seen, instead of being amplified.
            low = up(low) + _means(total, weight) * np.minimum(weight / 0.25, 1.0)[..., None]
        return low


def _means(sums: Array, weights: Array) -> Array:
    return sums / np.maximum(weights, _LEAST)[..., None]


def completed(picture: Array, weight: Array) -> Array:
    """Fill what is not known with what is around, the nearer the more (pull and push: Gortler and others
    1996, "The lumigraph").

    picture: (H, W, C) float32; weight: (H, W) float32 0..1, 1 keeps a pixel as it is. Where it is 0 all over
    the result is 0.
    """
    height, width = weight.shape
    if min(height, width) < 2:
        total = max(float(weight.sum()), 1e-12)
        mean = (picture * weight[..., None]).sum(axis=(0, 1)) / total
        return picture * weight[..., None] + mean * (1 - weight[..., None])
    pad = ((0, height % 2), (0, width % 2))
    colour = np.pad(picture * weight[..., None], (*pad, (0, 0)))
    mask = np.pad(weight, pad)
    small = down(mask)
    smaller = down(colour).reshape(*small.shape, -1) / np.maximum(small, 1e-6)[..., None]
    coarse = completed(smaller, np.minimum(4 * small, 1.0))
    filled = up(coarse).reshape(*mask.shape, -1)[:height, :width]
    return picture * weight[..., None] + filled * (1 - weight[..., None])


def shares(weights: Array, power: float) -> Array:
    """(N, H, W) float32 that sum to 1 where any of `weights` (N, H, W) is over 0: the higher the power, the
    more the largest takes.
    """
    most = weights.max(axis=0)
    raised = (weights / np.maximum(most, _LEAST)) ** power
    return (raised / np.maximum(raised.sum(axis=0), _LEAST) * (most > _LEAST)).astype(np.float32)


def winner(weights: Array) -> Array:
    """(H, W) int: which of the weights (N, H, W) is the largest; -1 where all are 0."""
    best = np.argmax(weights, axis=0)
    return np.where(weights.max(axis=0) > _LEAST, best, -1)
