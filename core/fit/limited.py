# SPDX-License-Identifier: GPL-3.0-or-later
"""Least squares within limits: the one linear solver under all fits."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

PASSES = 60
"""A frame's weights take three, random problems up to ten; the last is within limits in any case."""
PATIENCE = 3
"""Passes that may hold no fewer wrong values than before, until values change sides one at a time."""
EXACT = 1e-12


def limited_step(normal: Array, gradient: Array, low: Array, high: Array) -> Array:
    """The step x (n,) that minimises x'Nx/2 - g'x within low <= x <= high, N positive definite (n, n).

    Block principal pivoting (Júdice and Pires 1994): every value is free or held at a limit; free values past
    a limit are held there, held ones that the others push inwards are let go, all at once, until none is
    wrong. Begins with the values held that stand at a limit and are pushed against it.
    """
    held = first_held(gradient, low, high)
    turns = Turns(len(gradient))
    step = np.zeros(len(gradient))
    for _ in range(PASSES):
        free = held == 0
        step = np.where(held < 0, low, high)
        step[free] = 0.0
        step[free] = np.linalg.solve(normal[np.ix_(free, free)], (gradient - normal @ step)[free])
        wrong = wrongly_held(held, step, gradient - normal @ step, low, high)
        if not turns.take(held, wrong):
            break
    return np.clip(step, low, high)


def first_held(gradient: Array, low: Array, high: Array) -> Array:
    """-1 for values to hold at their lower limit, 1 at the upper, 0 free: a step from 0 cannot go against
    these.
    """
    held = np.where((high <= 0.0) & (gradient > 0.0), 1, 0)
    held[((low >= 0.0) & (gradient < 0.0)) | (low >= high)] = -1
    return held


def wrongly_held(held: Array, step: Array, push: Array, low: Array, high: Array) -> Array:
    """Where each value should be instead (-1, 0, 1), and 2 where it is right; push: the gradient left."""
    wrong = np.full(held.shape, 2)
    free = held == 0
    wrong[free & (step < low - EXACT)] = -1
    wrong[free & (step > high + EXACT)] = 1
    inward = (push * held < -EXACT * np.max(np.abs(push), initial=1.0)) & (low < high)
    wrong[~free & inward] = 0
    return wrong


class Turns:
    """Who changes sides in which pass: all that are wrong while that helps, else the last one (Murty 1974),
    which is slow and always ends.
    """

    def __init__(self, count: int) -> None:
        """For `count` values."""
        self._fewest, self._patience = count + 1, PATIENCE

    def take(self, held: Array, wrong: Array) -> bool:
        """Change `held` in place; False when nothing is wrong."""
        changed = np.flatnonzero(wrong != 2)
        if len(changed) < self._fewest:
            self._fewest, self._patience = len(changed), PATIENCE
        elif self._patience > 0:
            self._patience -= 1
        else:
            changed = changed[-1:]
        held[changed] = wrong[changed]
        return len(changed) > 0
