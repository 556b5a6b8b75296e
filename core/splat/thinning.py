# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer splats that cover the same surface, for a slow viewport: some are left out, others grow for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .bound import BoundGaussians
from .splat_avatar import SplatAvatar

Array = np.ndarray

_ROUNDS = 30
_LARGEST = 3.0
"""Times that a splat may grow for those that were left out beside it."""


def thinned(avatar: SplatAvatar, share: float, size: float = 1.0) -> SplatAvatar:
    """A share 0..1 of an avatar's splats, at least one, each `size` times as large.

    Large and opaque ones are kept more often. A splat that was kept with probability p stands for 1 / p of
    its kind and gets that much more area, so that no gaps open. The same ones are kept at every call.
    """
    gaussians = avatar.gaussians
    log_scales = gaussians.log_scales + np.float32(np.log(max(size, 1e-3)))
    count = max(1, round(share * len(gaussians)))
    if count >= len(gaussians):
        return replace(avatar, gaussians=replace(gaussians, log_scales=log_scales))
    odds = inclusion(visible_size(avatar), count)
    chosen = spread(odds)
    growth = np.minimum(odds**-0.5, _LARGEST)
    # The smallest axis is the thickness of the skin or of a hair, which no neighbour lies along.
    across = np.argsort(np.argsort(log_scales, axis=1), axis=1) > 0
    grown = (log_scales + across * np.log(growth)[:, None]).astype(np.float32)
    return replace(avatar, gaussians=replace(gaussians, log_scales=grown).taken(chosen))


def visible_size(avatar: SplatAvatar) -> Array:
    """(n,) float64: geometric mean in metres of the two large axes at rest, times the opacity."""
    gaussians: BoundGaussians = avatar.gaussians
    scale = avatar.surface.rest_frames.scales[gaussians.binding].astype(np.float64)
    large = np.sort(gaussians.log_scales.astype(np.float64), axis=1)[:, 1:].mean(axis=1)
    opacity = 0.5 * (1.0 + np.tanh(0.5 * gaussians.opacity_logits.astype(np.float64)))
    return scale * np.exp(np.clip(large, -40.0, 40.0)) * opacity


def inclusion(weights: Array, count: int) -> Array:
    """(n,) probabilities above 0 that add up to `count`, in proportion to the weights as far as 1 allows."""
    weights = np.maximum(weights, 1e-3 * max(float(weights.mean()), 1e-30))
    factor = count / weights.sum()
    for _ in range(_ROUNDS):
        odds = np.minimum(factor * weights, 1.0)
        open_ones = odds < 1.0
        left = count - np.count_nonzero(~open_ones)
        if not open_ones.any() or abs(odds.sum() - count) < 1e-6 * count:
            break
        factor = left / weights[open_ones].sum()
    return odds


def spread(odds: Array) -> Array:
    """Sorted indices of as many as the probabilities add up to, evenly along the order."""
    steps = np.floor(np.cumsum(odds) + 0.5 - 1e-9)
    return np.flatnonzero(np.diff(steps, prepend=0.0) > 0)
