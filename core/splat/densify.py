# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Gaussians are added and taken away while they are trained.

A Gaussian whose place in the picture is pulled hard, step after step, covers what one cannot show: it becomes
two (Kerbl et al. 2023, adaptive density control). How many may be added is a budget, the most pulled first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray

FAINT = 0.02
"""Opacity under which a Gaussian shows nothing."""
LIFTED = 0.004
"""Metres off the skin from which on a Gaussian is hair."""
SHRINK = np.log(1.6)
"""By which both halves of a split Gaussian are smaller."""


class Pulls:
    """How hard the Gaussians were pulled in the pictures since the last change."""

    def __init__(self, count: int) -> None:
        self.total = np.zeros(count, np.float32)
        """(n,) sum of the gradients' lengths."""
        self.seen = np.zeros(count, np.float32)
        """(n,) steps in which each was seen."""

    def add(self, screen: Array, visible: Array) -> None:
        """One step: gradients (n, 2) by the place in the picture, and which were seen (n,) bool."""
        self.total += np.sqrt(np.einsum("nk,nk->n", screen, screen))
        self.seen += visible

    @property
    def mean(self) -> Array:
        """(n,) of the steps in which each was seen."""
        return self.total / np.maximum(self.seen, 1)

    @property
    def unseen(self) -> Array:
        """(n,) bool."""
        return self.seen == 0


class Change(NamedTuple):
    """Which Gaussians go, and which are doubled."""

    kept: Array
    """(m,) rising places of those that stay."""
    parents: Array
    """(k,) places, counted in all before the change, of those that become two."""


def stray(height: Array, seen: Array, opacity: Array) -> Array:
    """(n,) bool: Gaussians farther off the skin than hair that was seen to be there, and not seen themselves.

    height (n,) metres off the skin, seen (n,): how much pictures had to say of each, opacity (n,). Behind a
    head that was filmed from the front nothing else tells how long hair is.
    """
    lifted = height > LIFTED
    told = lifted & (seen > 0)
    if np.count_nonzero(told) < 50:
        return np.zeros(len(height), bool)
    well = told & (seen > np.quantile(seen[told], 0.5))
    weight = opacity[well] * (opacity[well] > 2 * FAINT)
    if weight.sum() <= 0:
        return lifted & ~well
    order = np.argsort(height[well])
    reached = np.cumsum(weight[order]) / weight.sum()
    longest = height[well][order][min(np.searchsorted(reached, 0.75), len(order) - 1)]
    return lifted & ~well & (height > longest)


def choose(
    pulls: Pulls, opacity: Array, binding: Array, budget: int, share: float = 0.15, gone: Array | None = None
) -> Change:
    """What to change so that at most `budget` Gaussians remain; at most `share` of them are doubled at once.

    What is faint goes, what no picture shows, and what is `gone` (n,) bool. A triangle never loses its last
    Gaussian: its most opaque one stays.
    """
    alive = (opacity >= FAINT) & ~pulls.unseen
    if gone is not None:
        alive &= ~gone
    kept = alive | lasts(np.where(alive, opacity, -1.0 + opacity), binding)
    staying = np.flatnonzero(kept)
    room = max(min(budget - len(staying), int(share * len(staying))), 0)
    wanted = np.where(kept & ~pulls.unseen, pulls.mean, 0.0)
    most = np.argsort(-wanted, kind="stable")[:room]
    return Change(staying, np.sort(most[wanted[most] > 0.0]))


def lasts(opacity: Array, binding: Array) -> Array:
    """(n,) bool: the most opaque Gaussian of each triangle. `binding` rises."""
    order = np.lexsort((opacity, binding))
    last = np.r_[np.flatnonzero(np.diff(binding[order])), len(order) - 1]
    found = np.zeros(len(binding), bool)
    found[order[last]] = True
    return found


def halves(
    means: Array, log_scales: Array, rotations: Array, seed: int
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Means (k, 3) and log scales of both halves of Gaussians, apart along their longest axis.

    The halves lie half a standard deviation to either side and a little off, so that they can part.
    """
    axis = log_scales.argmax(axis=1)
    rows = np.arange(len(means))
    w, x, y, z = (rotations / np.linalg.norm(rotations, axis=1, keepdims=True)).T
    columns = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=1),
            np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], axis=1),
            np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=1),
        ],
        axis=1,
    )
    along = columns[rows, axis] * np.exp(log_scales[rows, axis])[:, None]
    noise = np.random.default_rng(seed).normal(0.0, 0.1, means.shape) * np.exp(log_scales)
    off = 0.6 * along + noise
    smaller = log_scales.copy()
    smaller[rows, axis] -= SHRINK
    return (means + off, smaller), (means - off, smaller.copy())
